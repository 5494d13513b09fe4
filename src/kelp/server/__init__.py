"""What receives, stores and answers: receive → admit → store → query → serve."""
