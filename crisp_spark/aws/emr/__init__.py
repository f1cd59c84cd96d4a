"""EMR on EC2 and EMR Serverless: plans, their validation, submission."""
