"""What is computed: networks and surrogates, weights, tasks, loss, Lyapunov spectrum."""
