"""Networks on a CPU: fewer multiplications, no copies, less memory."""
