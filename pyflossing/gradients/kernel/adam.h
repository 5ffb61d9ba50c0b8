/* Adam's update with the roundings of pyflossing.training.optimiser, bit for bit: no product is fused with a sum. */

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#define ROUNDED
#else
#define ROUNDED __attribute__((optimize("fp-contract=off")))
#endif

struct adam {
    double learning_rate, beta1, beta2, epsilon, power1, power2;
};

/* From n parameters, a gradient of its own type and moments m and v to new parameters and moments. */
#define ADAM(name, GRADIENT)                                                                                           \
    EXPORT ROUNDED void name(const struct adam *a, long n, const REAL *restrict parameter,                             \
                             const GRADIENT *restrict gradient, const REAL *restrict m, const REAL *restrict v,        \
                             REAL *restrict new_parameter, REAL *restrict new_m, REAL *restrict new_v)                 \
    {                                                                                                                  \
        const double less1 = 1 - a->beta1, less2 = 1 - a->beta2, grown1 = 1 - a->power1, grown2 = 1 - a->power2;       \
        for (long i = 0; i < n; i++) {                                                                                 \
            const GRADIENT square = gradient[i] * gradient[i];                                                         \
            const REAL first = (REAL)(a->beta1 * (double)m[i] + less1 * (double)gradient[i]);                          \
            const REAL second = (REAL)(a->beta2 * (double)v[i] + less2 * (double)square);                              \
            const double root = sqrt((double)second / grown2) + a->epsilon;                                            \
            const GRADIENT step = (GRADIENT)((double)first / grown1 / root * a->learning_rate);                        \
            new_parameter[i] = (REAL)((GRADIENT)parameter[i] - step);                                                  \
            new_m[i] = first;                                                                                          \
            new_v[i] = second;                                                                                         \
        }                                                                                                              \
    }

ADAM(adam_of_float32, float)
ADAM(adam_of_float64, double)
