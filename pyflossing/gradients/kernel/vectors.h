/* Vectors of REAL, products of matrices by them, and the functions that the networks need.

Matrices are stored by rows whose length, ld, is a multiple of 64 bytes; what lies behind the columns is zero where it
is read. An entry of a product is one chain of additions in the order of the summation index, so that its bits depend on
neither the vectors' length nor an address nor the entry's place. */

#define LANES ((int)(VECTOR_BYTES / sizeof(REAL)))
#define LINE ((int)(64 / sizeof(REAL)))
#define PARTS (64 / VECTOR_BYTES)

typedef REAL vec __attribute__((vector_size(VECTOR_BYTES)));
typedef INTEGER bits __attribute__((vector_size(VECTOR_BYTES)));
typedef REAL vec_anywhere __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

INLINE vec load(const REAL *p) { return *(const vec_anywhere *)p; }
INLINE void store(REAL *p, vec x) { *(vec_anywhere *)p = x; }
INLINE vec all(REAL x) { return x - (vec){0}; }
INLINE vec where(bits mask, vec yes, vec no) { return (vec)((mask & (bits)yes) | (~mask & (bits)no)); }
INLINE vec absolute(vec x) { return (vec)((bits)x & ~(bits)all(-(REAL)0)); }
INLINE vec with_sign_of(vec x, vec sign) { return (vec)((bits)x | ((bits)sign & (bits)all(-(REAL)0))); }

/* exp(x) - less = 2^n (exp(r) - 1) + 2^n - less with x = n log 2 + r, to two or three roundings, from LOWEST to 64. */
INLINE vec exponential(vec x, REAL less)
{
    static const REAL coefficients[] = INVERSE_FACTORIALS; /* 1/2!, 1/3!, ... */
    const vec shifted = x * (REAL)1.4426950408889634 + ROUNDING;
    const vec n = shifted - ROUNDING, r = (x - n * LOG2_HIGH) - n * LOG2_LOW;
    const vec power = (vec)(((bits)shifted - (bits)all(ROUNDING) + EXPONENT_BIAS) << MANTISSA_BITS);
    int k = (int)(sizeof(coefficients) / sizeof(*coefficients)) - 1;
    vec sum = all(coefficients[k]);
    while (k-- > 0)
        sum = sum * r + coefficients[k];
    return power * (r * r * sum + r) + (power - less);
}

INLINE vec tanh_of(vec x)
{
    vec z = absolute(x);
    z = where(z > 20, all(20), z); /* where it is 1; what is not a number stays so */
    const vec t = exponential(2 * z, 1);
    return with_sign_of(t / (t + 2), x);
}

INLINE vec exp_of_negative(vec x) /* for x <= 0; below LOWEST, where numbers begin to lose digits, as there */
{
    return exponential(where(x < LOWEST, all(LOWEST), x), 0);
}

/* log(1 + y) for y from 0 to 1, with the digits of small ones: 2 artanh(s), s = y / (2 + y), by its series. */
INLINE vec log_of_one_plus(vec y)
{
    const vec s = y / (2 + y), square = s * s;
    vec sum = all((REAL)1 / (2 * LOGARITHM_TERMS + 1));
    for (int k = LOGARITHM_TERMS - 1; k >= 0; k--)
        sum = sum * square + (REAL)1 / (REAL)(2 * k + 1);
    return 2 * s * sum;
}

/* The surrogate derivatives of pyflossing.model.surrogates, in the order of SURROGATE_NAMES. */
INLINE vec surrogate(int name, REAL sharpness, vec v)
{
    const vec z = absolute(v) * sharpness;
    vec y;
    switch (name) {
    case 0: /* fast_sigmoid */
        y = 1 / ((1 + z) * (1 + z));
        break;
    case 1: /* sech2 */
        y = tanh_of(z);
        y = 1 - y * y;
        break;
    case 2: /* gaussian */
        y = exp_of_negative(z * z / -2);
        break;
    case 3: /* triangular */
        y = where(z > 1, all(0), 1 - z);
        break;
    case 4: /* sigmoid */
        y = exp_of_negative(-z);
        y = 4 * y / ((1 + y) * (1 + y));
        break;
    default: /* arctan */
        y = 1 / (1 + z * z);
    }
    return y;
}

/* The derivatives of the surrogates; zero at a kink. */
INLINE vec surrogate_slope(int name, REAL sharpness, vec v)
{
    const vec y = surrogate(name, sharpness, v), z = v * sharpness, sign = with_sign_of(all(1), v);
    vec slope;
    switch (name) {
    case 0: /* fast_sigmoid */
        slope = -2 * sign * y / (1 + absolute(z));
        break;
    case 1: /* sech2 */
        slope = -2 * tanh_of(z) * y;
        break;
    case 2: /* gaussian */
        slope = -z * y;
        break;
    case 3: /* triangular */
        slope = where(absolute(z) < 1, -sign, all(0));
        break;
    case 4: /* sigmoid */
        slope = -sign * y * tanh_of(absolute(z) / 2);
        break;
    default: /* arctan */
        slope = -2 * z * y * y;
    }
    return sharpness * where(v == 0, all(0), slope);
}

/* The sum of x[i] y[i] over n entries, n a multiple of LINE, in an order of its own that no vector length changes. */
INLINE REAL dot(const REAL *x, const REAL *y, int n)
{
    REAL sums[LINE];
    vec sum[PARTS];
    for (int p = 0; p < PARTS; p++)
        sum[p] = all(0);
    for (int i = 0; i < n; i += LINE)
        for (int p = 0; p < PARTS; p++)
            sum[p] += load(x + i + p * LANES) * load(y + i + p * LANES);
    for (int p = 0; p < PARTS; p++)
        store(sums + p * LANES, sum[p]);
    for (int half = LINE / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

typedef enum { SET, ADD, SUBTRACT } combine;

/* out = left right, for a few rows and vectors of it that stay in registers; left's entry (m, k) is left[m rs + k ks]. */
INLINE void tile(int rows, int vecs, int depth, const REAL *left, long rs, long ks, const REAL *right, long ldr,
                       REAL *out, long ldo, combine mode)
{
    vec sum[ROWS][VECS];
    UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < vecs; v++) sum[m][v] = all(0);
    for (int k = 0; k < depth; k++) {
        vec b[VECS];
        UNROLL for (int v = 0; v < vecs; v++) b[v] = load(right + k * ldr + v * LANES);
        UNROLL for (int m = 0; m < rows; m++) {
            const vec a = all(left[m * rs + k * ks]);
            UNROLL for (int v = 0; v < vecs; v++) sum[m][v] += a * b[v];
        }
    }
    UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < vecs; v++) {
            REAL *place = out + m * ldo + v * LANES;
            store(place, mode == SET ? sum[m][v] : mode == ADD ? load(place) + sum[m][v] : load(place) - sum[m][v]);
        }
}

#define TILE(rows, vecs) \
    case (rows) * 8 + (vecs): tile(rows, vecs, depth, left, rs, ks, right, ldr, out, ldo, mode); break;
#if VECS == 5
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4) TILE(rows, 5)
#else
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)
#endif

static void tiles(int rows, int vecs, int depth, const REAL *left, long rs, long ks, const REAL *right, long ldr,
                        REAL *out, long ldo, combine mode)
{
    switch (rows * 8 + vecs) {
        TILES(1) TILES(2) TILES(3) TILES(4)
    }
}

/* out (rows, columns) = left (rows, depth) right (depth, columns), or added to or subtracted from out.
   columns is a multiple of LANES. */
static void product(int rows, int columns, int depth, const REAL *left, long rs, long ks, const REAL *right,
                          long ldr, REAL *out, long ldo, combine mode)
{
    int vecs = columns / LANES, blocks = (vecs + VECS - 1) / VECS;
    for (int begin = 0; vecs > 0; blocks--) {
        const int now = (vecs + blocks - 1) / blocks;
        for (int m = 0; m < rows; m += ROWS)
            tiles(rows - m < ROWS ? rows - m : ROWS, now, depth, left + m * rs, rs, ks, right + begin, ldr,
                        out + m * ldo + begin, ldo, mode);
        begin += now * LANES;
        vecs -= now;
    }
}

static void transpose(int rows, int columns, const REAL *from, long ld_from, REAL *to, long ld_to)
{
    for (int i = 0; i < rows; i += LINE) /* a line of each row of the result at a time */
        for (int j = 0; j < columns; j++)
            for (int m = i; m < i + LINE && m < rows; m++)
                to[j * ld_to + m] = from[m * ld_from + j];
}

static void copy_rows(int rows, int columns, const REAL *from, long ld_from, REAL *to, long ld_to)
{
    for (int m = 0; m < rows; m++)
        memcpy(to + m * ld_to, from + m * ld_from, columns * sizeof(REAL));
}
