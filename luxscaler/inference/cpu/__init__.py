"""Networks on a CPU: fewer products, no copies, less memory."""
