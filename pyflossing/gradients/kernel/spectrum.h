/* Directions of any step through its Jacobians, orthonormal again after every one: log |R_ii| are the local exponents.

With A = F R, R Cholesky's triangle of A^T A, A is F R to rounding whatever its condition, but F is orthonormal to
its square times rounding only: F^T F = 1 + E. The lengths of F's columns go into R, so that E has no diagonal; then
F's own triangle has a diagonal of 1 - O(E^2), and |R_ii| have the errors that Householder's have, as long as E^2 is
below rounding. The lengths before tell how large E is: an entry of E is about the root of the product of its two on
the diagonal. Where it is too large, the same again with F (Yamamoto et al., ETNA 44, 306 (2015)), or else
Householder's reflections. */

/* Whether the directions are orthonormal now, with |R_ii| in diagonal; G (k, ldk), room (width, ldk). */
static int orthonormalise(int k, int width, REAL *A, REAL *diagonal, REAL *lengths, REAL *G, long ldk, REAL *room)
{
    for (int pass = 0; pass < 2; pass++) {
        gram(k, width, A, A, G, ldk, room);
        for (int j = 0; pass == 0 && j < k; j++) {
            const REAL square = G[j * ldk + j];
            if (!(square > SMALLEST_SQUARE && square < 1 / SMALLEST_SQUARE))
                return 0; /* others have lost digits, or leave the range of numbers */
            lengths[j] = SQUARE_ROOT(square);
            diagonal[j] = 1;
        }
        if (!cholesky(k, G, ldk))
            return 0;
        solve_forward(k, width, G, ldk, A);
        REAL error = 0;
        for (int j = 0; j < k; j++) {
            REAL *row = A + (long)j * width;
            const REAL square = dot(row, row, width), length = SQUARE_ROOT(square), off = ABSOLUTE(square - 1);
            if (!(off < (REAL)0.1)) /* or not a number */
                return 0;
            error = off > error ? off : error;
            for (int i = 0; i < width; i += LANES)
                store(row + i, load(row + i) / length);
            diagonal[j] *= G[j * ldk + j] * length;
        }
        if (k * error * error <= EPSILON)
            return 1;
    }
    return 0;
}

/* Householder's, whatever A is, with lengths of which no square leaves the range of numbers; what is not finite makes
   all |R_ii| NaN, and A stays. */
static void by_reflections(int k, int n, int width, REAL *A, REAL *diagonal, REAL *lengths, REAL *R, long ldk, REAL *room)
{
    if (!all_finite((long)k * width, A)) {
        for (int j = 0; j < k; j++)
            diagonal[j] = lengths[j] = NAN;
        return;
    }
    for (int j = 0; j < k; j++) {
        const REAL *row = A + (long)j * width;
        REAL largest = 0, sum = 0;
        for (int i = 0; i < n; i++)
            if (ABSOLUTE(row[i]) > largest)
                largest = ABSOLUTE(row[i]);
        for (int i = 0; largest > 0 && i < n; i++)
            sum += (row[i] / largest) * (row[i] / largest);
        lengths[j] = largest * SQUARE_ROOT(sum);
    }
    householder(k, n, width, width, A, R, ldk, room);
    for (int j = 0; j < k; j++)
        diagonal[j] = ABSOLUTE(R[j * ldk + j]);
}

/* Columns of the Jacobians, transposed: those of a fixed matrix, scaled. */
struct term {
    const REAL *matrix; /* (n, line(width)); none: the identity's columns from first on */
    const REAL *scales; /* (steps, batch, width) */
    int32_t at, width, first;
};

/* What becomes of directions, in the rows of F, in one step: by D, or by a sum of terms, or nothing. */
static void one_step(int k, int n, int width, const REAL *F, const REAL *D, int n_terms, const struct term *terms,
                     long place, REAL *A, REAL *room)
{
    if (D)
        product(k, width, n, F, width, 1, D, width, A, width, SET);
    else if (!n_terms)
        memcpy(A, F, sizeof(REAL) * k * width);
    else
        memset(A, 0, sizeof(REAL) * k * width);
    for (const struct term *term = terms; term < terms + n_terms; term++) {
        const REAL *scale = term->scales + place * term->width, *from = F + term->first;
        long ld = width;
        if (term->matrix) {
            from = room;
            ld = line(term->width);
            product(k, (int)ld, n, F, width, 1, term->matrix, ld, room, ld, SET);
        }
        for (int j = 0; j < k; j++)
            for (int i = 0; i < term->width; i++)
                A[j * (long)width + term->at + i] += from[j * ld + i] * scale[i];
    }
}

/* Frames (batch, k, n), a direction in each row, become those after all steps; |R_ii| and the lengths of the columns of
   R (steps, batch, k). jacobians (steps, batch, n, n) are transposed: a row for each number before the step. Without
   them each is a sum of terms, or, without these, frames have been pushed already, through one step. */
EXPORT void spectrum_forward(int n, int k, int batch, int steps, const REAL *jacobians, int n_terms,
                             const struct term *terms, REAL *frames, REAL *diagonals, REAL *lengths, REAL *room)
{
    const long width = line(n), ldk = line(k);
    REAL *F = room, *A = F + k * width, *G = A + k * width;
    room = G + k * ldk;
    REAL *padded = room + (ldk > k + 1 ? ldk : k + 1) * width;
    memset(F, 0, sizeof(REAL) * 2 * k * width);
    if (jacobians && n != width)
        memset(padded, 0, sizeof(REAL) * n * width);
    for (int b = 0; b < batch; b++) {
        int wait = 0, longest_wait = 0; /* steps until Cholesky is tried again */
        copy_rows(k, n, frames + (long)b * k * n, n, F, width);
        for (int t = 0; t < steps; t++) {
            const long place = (long)t * batch + b;
            const REAL *D = jacobians ? jacobians + place * n * n : 0;
            REAL *diagonal = diagonals + place * k, *length = lengths + place * k, *kept = F;
            if (D && n != width) {
                copy_rows(n, n, D, n, padded, width);
                D = padded;
            }
            one_step(k, n, (int)width, F, D, n_terms, terms, place, A, room);
            if (wait > 0 || !orthonormalise(k, width, A, diagonal, length, G, ldk, room)) {
                if (wait-- == 0) {
                    one_step(k, n, (int)width, F, D, n_terms, terms, place, A, room);
                    wait = longest_wait = longest_wait < 15 ? 2 * longest_wait + 1 : 15;
                }
                by_reflections(k, n, width, A, diagonal, length, G, ldk, room);
            } else
                longest_wait = 0;
            F = A;
            A = kept;
        }
        copy_rows(k, n, F, width, frames + (long)b * k * n, n);
    }
}
