/* Decompositions A = Q R of frames, which are kept transposed: a direction is a row.

A frame is (k, width) with rows of length width; R is (k, k), upper, with rows of length ldk. */

/* G = A A^T, its upper triangle; room (width, ldk). */
static void gram(int k, int width, const REAL *A, const REAL *B, REAL *G, long ldk, REAL *room)
{
    transpose(k, width, B, width, room, ldk);
    for (int m = 0; m < k; m += ROWS) { /* columns from m on, from the vector that m lies in */
        const int from = m / LANES * LANES;
        product(k - m < ROWS ? k - m : ROWS, (int)ldk - from, width, A + (long)m * width, width, 1, room + from, ldk,
                G + m * ldk + from, ldk, SET);
    }
}

/* The upper triangle of G becomes that of R, R^T R = G; whether that is possible. */
static int cholesky(int k, REAL *G, long ldk)
{
    for (int j = 0; j < k; j++) {
        REAL *row = G + j * ldk;
        if (!(row[j] > 0))
            return 0;
        const REAL root = SQUARE_ROOT(row[j]);
        for (int i = j / LANES * LANES; i < k; i += LANES)
            store(row + i, load(row + i) / root);
        row[j] = root; /* the square over its root may be another number */
        for (int m = j + 1; m < k; m++) {
            const REAL factor = row[m];
            for (int i = m / LANES * LANES; i < k; i += LANES)
                store(G + m * ldk + i, load(G + m * ldk + i) - factor * load(row + i));
        }
    }
    return 1;
}

/* X becomes R^-T X: rows from the first on. */
static void solve_forward(int k, int width, const REAL *R, long ldk, REAL *X)
{
    for (int m = 0; m < k; m += ROWS) {
        const int stop = m + ROWS < k ? m + ROWS : k;
        product(stop - m, width, m, R + m, 1, ldk, X, width, X + (long)m * width, width, SUBTRACT);
        for (int j = m; j < stop; j++) {
            const REAL inverse = 1 / R[j * ldk + j];
            for (int i = 0; i < width; i += LANES) {
                vec x = load(X + (long)j * width + i);
                for (int h = m; h < j; h++)
                    x -= R[h * ldk + j] * load(X + (long)h * width + i);
                store(X + (long)j * width + i, x * inverse);
            }
        }
    }
}

/* X becomes R^-1 X: rows from the last on. */
static void solve_backward(int k, int width, const REAL *R, long ldk, REAL *X)
{
    for (int stop = k; stop > 0; stop -= ROWS) {
        const int m = stop > ROWS ? stop - ROWS : 0;
        product(stop - m, width, k - stop, R + m * ldk + stop, ldk, 1, X + (long)stop * width, width,
                X + (long)m * width, width, SUBTRACT);
        for (int j = stop - 1; j >= m; j--) {
            const REAL inverse = 1 / R[j * ldk + j];
            for (int i = 0; i < width; i += LANES) {
                vec x = load(X + (long)j * width + i);
                for (int h = j + 1; h < stop; h++)
                    x -= R[j * ldk + h] * load(X + (long)h * width + i);
                store(X + (long)j * width + i, x * inverse);
            }
        }
    }
}

/* Rows begin .. end of X less factors[m] times v, where factors[m] = v . X[m] * scale, from entry `from` on. */
static void reflect(int begin, int end, int width, int from, const REAL *v, REAL scale, REAL *X)
{
    for (int m = begin; m < end; m++) {
        REAL *x = X + (long)m * width;
        const REAL factor = scale * dot(v + from, x + from, width - from);
        for (int i = from; i < width; i += LANES)
            store(x + i, load(x + i) - factor * load(v + i));
    }
}

/* Householder's: A becomes Q, with any signs of R's diagonal. An entry of index i >= N of a direction lies at
   i - N + ld, as far as there are two halves. room (k + 1, width). */
static void householder(int k, int N, long ld, int width, REAL *A, REAL *R, long ldk, REAL *room)
{
    REAL *scales = room + (long)k * width;
    memset(room, 0, sizeof(REAL) * k * width);
    for (int j = 0; j < k; j++) {
        const int pivot = j < N ? j : j - N + (int)ld, from = pivot / LINE * LINE;
        REAL *v = room + (long)j * width, *row = A + (long)j * width, largest = 0;
        for (int i = 0; i < j; i++)
            R[i * ldk + j] = row[i < N ? i : i - N + ld];
        for (int i = pivot; i < width; i++)
            if (!(ABSOLUTE(row[i]) <= largest))
                largest = ABSOLUTE(row[i]);
        if (largest == 0) { /* nothing is left of it: no reflection */
            scales[j] = R[j * ldk + j] = 0;
            continue;
        }
        for (int i = pivot; i < width; i++) /* so that no square leaves the range of numbers */
            v[i] = row[i] / largest;
        const REAL length = SQUARE_ROOT(dot(v + from, v + from, width - from)), head = v[pivot];
        v[pivot] = head > 0 ? head + length : head - length;
        scales[j] = 1 / (length * ABSOLUTE(v[pivot]));
        R[j * ldk + j] = head > 0 ? -length * largest : length * largest;
        reflect(j + 1, k, width, from, v, scales[j], A);
    }
    memset(A, 0, sizeof(REAL) * k * width);
    for (int j = k - 1; j >= 0; j--) {
        const int pivot = j < N ? j : j - N + (int)ld;
        A[(long)j * width + pivot] = 1;
        reflect(j, k, width, pivot / LINE * LINE, room + (long)j * width, scales[j], A);
    }
}

/* Q_bar becomes dL/dA where A = Q R and L depends on R through log |R_ii|, with derivatives weights: (8.3).
   room (k, ldk) and (width, ldk). */
static void qr_adjoint(int k, int width, REAL *Q_bar, const REAL *Q, const REAL *R, long ldk, const REAL *weights,
                       REAL *room)
{
    REAL *M = room; /* Q Q_bar^T, of which the upper triangle is the lower one of Q_bar Q^T, transposed */
    gram(k, width, Q, Q_bar, M, ldk, room + (long)k * ldk);
    for (int j = 0; j < k; j++) {
        M[j * ldk + j] -= weights[j];
        for (int i = j / ROWS * ROWS; i < j; i++)
            M[j * ldk + i] = 0; /* of the tile on the diagonal; no other of the lower triangle is read */
    }
    for (int m = 0; m < k; m += ROWS) {
        const int stop = m + ROWS < k ? m + ROWS : k;
        product(stop - m, width, stop, M + m, 1, ldk, Q, width, Q_bar + (long)m * width, width, SUBTRACT);
    }
    solve_backward(k, width, R, ldk, Q_bar);
}
