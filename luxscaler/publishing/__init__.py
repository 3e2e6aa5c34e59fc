"""Publishing of results: to the Hugging Face Hub, to S3-compatible storage, to a folder. No PyTorch."""
