/* The inner loops of the reverse passes that are written out, for one CPU's kind of vectors.

The same numbers to rounding as pyflossing's own passes in torch, which are their check. VECTOR_BYTES is 16, 32 or 64;
the rest follows. Without branches on data other than those of the algorithm, and with every sum in a fixed order: what
comes out depends on the numbers that go in alone. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif
#if VECTOR_BYTES == 64 /* tiles of a product that 32, or else 16, registers hold */
#define VECS 5
#else
#define VECS 3
#endif
#define ROWS 4
#define CHUNK 128

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

enum { TANH, BINARY, SPIKING };

struct network {
    int32_t kind, surrogate; /* the surrogate of the backward pass, by its place in SURROGATE_NAMES */
    double sharpness, threshold, synaptic_decay, membrane_decay, membrane_gain;
};

#define line(n) (((n) + LINE - 1) / LINE * LINE)

#ifdef FLOAT64
typedef double REAL;
typedef int64_t INTEGER;
#define LOGARITHM log
#define SQUARE_ROOT sqrt
#define ABSOLUTE fabs
#define ROUNDING 6755399441055744.0 /* 1.5 2^52: adding it rounds to an integer */
#define LOG2_HIGH 0.693145751953125
#define LOG2_LOW 1.42860682030941723212e-6
#define EXPONENT_BIAS 1023
#define MANTISSA_BITS 52
#define LOGARITHM_TERMS 16
#define LOWEST -708.
#define EPSILON DBL_EPSILON
#define SMALLEST_SQUARE (DBL_MIN / DBL_EPSILON / DBL_EPSILON)
#define INVERSE_FACTORIALS {1 / 2., 1 / 6., 1 / 24., 1 / 120., 1 / 720., 1 / 5040., 1 / 40320., 1 / 362880., \
                            1 / 3628800., 1 / 39916800., 1 / 479001600., 1 / 6227020800., 1 / 87178291200.}
#else
typedef float REAL;
typedef int32_t INTEGER;
#define LOGARITHM logf
#define SQUARE_ROOT sqrtf
#define ABSOLUTE fabsf
#define ROUNDING 12582912.0f
#define LOG2_HIGH 0.693359375f
#define LOG2_LOW -2.12194440e-4f
#define EXPONENT_BIAS 127
#define MANTISSA_BITS 23
#define LOGARITHM_TERMS 7
#define LOWEST -87.f
#define EPSILON FLT_EPSILON
#define SMALLEST_SQUARE (FLT_MIN / FLT_EPSILON / FLT_EPSILON)
#define INVERSE_FACTORIALS {1 / 2.f, 1 / 6.f, 1 / 24.f, 1 / 120.f, 1 / 720.f, 1 / 5040.f}
#endif

#include "vectors.h"
#include "states.h"
#include "decompositions.h"
#include "frames.h"
#include "spectrum.h"
#include "adam.h"

EXPORT const char *fingerprint(void) { return FINGERPRINT; } /* of the sources, by which a stale library is known */
