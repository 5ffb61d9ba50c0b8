/* The passes of pyflossing.gradients for one network, in REAL: specification, sections 6 and 8. */

/* Whether all n numbers are finite. */
static int all_finite(long n, const REAL *x)
{
    REAL defect = 0;
    for (long i = 0; i < n; i++)
        defect += x[i] * 0;
    return defect == 0;
}

/* The states of a batch from x0 (n_states, B) under inputs (T, B, S), and what the readout makes of them.

   states (T + 1, B, ld): those that the readout sees, from the start on; sent (T, B, ld): what the units send.
   readouts (T, B), without the offset; they and wr may be NULL. u_n = ws s_n / S + b, with ws (N, S). Returns whether
   x0 is finite. */
EXPORT int states_forward(const struct network *net, int N, int B, int T, int S, const REAL *J, const REAL *ws,
                                 const REAL *b, const REAL *wr, const REAL *x0, const REAL *inputs, REAL *states,
                                 REAL *sent, REAL *readouts, REAL *room)
{
    const int ld = line(N);
    const long row = (long)B * ld;
    REAL *Jt = room, *weights = Jt + N * ld, *bias = weights + S * ld, *out_weights = bias + ld, *syn = out_weights + ld;
    memset(room, 0, sizeof(REAL) * (N * ld + (S + 2) * ld + row));
    transpose(N, N, J, N, Jt, ld);
    transpose(N, S, ws, S, weights, ld);
    memcpy(bias, b, N * sizeof(REAL));
    if (wr)
        memcpy(out_weights, wr, N * sizeof(REAL));
    memset(states, 0, sizeof(REAL) * row);
    transpose(N, B, x0, B, states, ld);
    if (net->kind == SPIKING)
        transpose(N, B, x0 + (long)N * B, B, syn, ld);
    const REAL alpha = net->synaptic_decay, beta = net->membrane_decay, c = net->membrane_gain, theta = net->threshold;

    for (long n = 0; n < T; n++) {
        const REAL *x = states + n * row, *s = inputs + n * B * S;
        REAL *a = sent + n * row, *next = states + (n + 1) * row;
        for (long i = 0; i < row; i += LANES) {
            const vec old = load(x + i);
            store(a + i, net->kind == TANH     ? tanh_of(old)
                         : net->kind == BINARY ? where(old > 0, all(1), all(-1))
                                               : where(old > theta, all(1), all(0)));
        }
        for (int j = 0; j < B; j++)
            for (long i = 0; i < ld; i += LANES) {
                vec u = all(0);
                for (int m = 0; m < S; m++)
                    u += s[j * S + m] * load(weights + m * ld + i);
                store(next + j * ld + i, (S == 1 ? u : u / (REAL)S) + load(bias + i));
            }
        product(B, ld, N, a, ld, 1, Jt, ld, next, ld, ADD);
        if (net->kind == SPIKING)
            for (long i = 0; i < row; i += LANES) {
                const vec current = alpha * load(syn + i) + load(next + i);
                store(syn + i, current);
                store(next + i, (beta * load(x + i) + c * current) * (1 - load(a + i)));
            }
        if (wr)
            for (int j = 0; j < B; j++)
                readouts[n * B + j] = dot(next + j * ld, out_weights, ld);
    }
    return all_finite((net->kind == SPIKING ? 2L : 1L) * N * B, x0);
}

/* From readouts (T, B) without the offset and targets, of the steps first .. T, counted from 0: the sum of the cross
   entropies and the number of right answers; the readouts' adjoints take their place, (6.1). Returns whether every
   readout, of all steps, is a finite number. */
EXPORT int judge(int T, int B, int first, double count, REAL offset, const REAL *targets, REAL *readouts, double *loss,
                 double *right, REAL *offset_bar)
{
    const long entries = (long)T * B, ignored = (long)first * B;
    REAL defect = 0;
    double sum = 0, bars = 0;
    long number = 0;
    for (long i = 0; i < entries; i += LANES) {
        const int now = entries - i < LANES ? (int)(entries - i) : LANES;
        REAL r[LANES] = {0}, y[LANES] = {0}, bar[LANES], entropy[LANES];
        memcpy(r, readouts + i, now * sizeof(REAL));
        memcpy(y, targets + i, now * sizeof(REAL));
        const vec z = load(r) + offset, t = load(y), e = exp_of_negative(-absolute(z));
        const vec zero = all(0), positive = where(z < 0, zero, z);
        const vec small = e / (1 + e), large = 1 / (1 + e); /* the logistic function of -|z| and |z| */
        store(r, z);
        store(bar, (where(z < 0, small, large) - t) / (REAL)count);
        /* -y log s(z) - (1 - y) log s(-z): of the two logarithms one is that of 1 + e, the other has |z| besides */
        store(entropy, log_of_one_plus(e) + t * (positive - z) + (1 - t) * positive);
        for (int m = 0; m < now; m++) {
            defect += r[m] * 0;
            if (i + m >= ignored) {
                sum += entropy[m];
                bars += bar[m];
                number += (r[m] >= 0) == (y[m] > (REAL)0.5);
            }
            readouts[i + m] = i + m < ignored ? 0 : bar[m];
        }
    }
    *loss = sum / count;
    *right = (double)number / count;
    *offset_bar = (REAL)bars;
    return defect == 0;
}

/* The derivative of what the units send, at the states x, times y. */
INLINE vec through_units(const struct network *net, vec x, vec a, vec y)
{
    if (net->kind == TANH)
        return (1 - a * a) * y;
    return surrogate(net->surrogate, net->sharpness, x - (REAL)net->threshold) * y;
}

/* The adjoint of the states that states_forward left, (6.2) to (6.6), and the parameters' gradients.

   dL/dx_n, as far as L depends on it directly, is wr times readout_bars (T, B), or else bars (T, B, N), the other being
   NULL. J_bar is added to where it is not zero; the others are put: ws_bar (N, S), wr_bar (N), b_bar (N), x0_bar
   (n_states, B). Returns whether all of them are finite. */
EXPORT int states_backward(const struct network *net, int N, int B, int T, int S, const REAL *J, const REAL *wr,
                                  const REAL *inputs, const REAL *states, const REAL *sent, const REAL *readout_bars,
                                  const REAL *bars, REAL *J_bar, REAL *ws_bar, REAL *wr_bar, REAL *b_bar, REAL *x0_bar,
                                  REAL *room)
{
    const int ld = line(N);
    const long row = (long)B * ld;
    const int chunk = B < CHUNK ? CHUNK / B : 1; /* steps of which products are taken at once */
    REAL *J_rows = room, *J_sum = J_rows + N * ld, *out_weights = J_sum + N * ld, *wr_sum = out_weights + ld,
         *b_sum = wr_sum + ld, *ws_sum = b_sum + ld, *x_bar = ws_sum + S * ld, *syn_bar = x_bar + row,
         *h = syn_bar + row; /* (chunk, B, ld) */
    memset(room, 0, sizeof(REAL) * (2 * N * ld + (S + 3) * ld + 2 * row));
    copy_rows(N, N, J, N, J_rows, ld);
    copy_rows(N, N, J_bar, N, J_sum, ld);
    if (wr)
        memcpy(out_weights, wr, N * sizeof(REAL));
    const REAL alpha = net->synaptic_decay, beta = net->membrane_decay, c = net->membrane_gain;

    for (long stop = T; stop > 0;) {
        const long start = (stop - 1) / chunk * chunk;
        const int rows = (int)(stop - start) * B;
        for (long n = stop - 1; n >= start; n--) {
            REAL *h_n = h + (n - start) * row;
            const REAL *a = sent + n * row, *x = states + n * row;
            if (bars)
                for (int j = 0; j < B; j++)
                    for (int i = 0; i < N; i++)
                        x_bar[j * ld + i] += bars[(n * B + j) * N + i];
            else
                for (int j = 0; j < B; j++) {
                    const REAL r_bar = readout_bars[n * B + j];
                    if (r_bar != 0)
                        for (long i = 0; i < ld; i += LANES)
                            store(x_bar + j * ld + i, load(x_bar + j * ld + i) + r_bar * load(out_weights + i));
                }
            if (net->kind == SPIKING)
                for (long i = 0; i < row; i += LANES) {
                    const vec q = (1 - load(a + i)) * load(x_bar + i), h_i = load(syn_bar + i) + c * q;
                    store(h_n + i, h_i);
                    store(syn_bar + i, alpha * h_i);
                    store(x_bar + i, q);
                }
            else
                memcpy(h_n, x_bar, sizeof(REAL) * row);
            REAL *back = h + chunk * row; /* one step's */
            product(B, ld, N, h_n, ld, 1, J_rows, ld, back, ld, SET);
            for (long i = 0; i < row; i += LANES) {
                const vec through = through_units(net, load(x + i), load(a + i), load(back + i));
                store(x_bar + i, net->kind == SPIKING && beta != 0 ? beta * load(x_bar + i) + through : through);
            }
        }
        const long first = start * B;
        product(N, ld, rows, h, 1, ld, sent + first * ld, ld, J_sum, ld, ADD);
        product(S, ld, rows, inputs + first * S, 1, S, h, ld, ws_sum, ld, ADD);
        for (int m = 0; m < rows; m++)
            for (long i = 0; i < ld; i += LANES)
                store(b_sum + i, load(b_sum + i) + load(h + m * ld + i));
        if (wr)
            product(1, ld, rows, readout_bars + first, 1, 1, states + (first + B) * ld, ld, wr_sum, ld, ADD);
        stop = start;
    }
    copy_rows(N, N, J_sum, ld, J_bar, N);
    if (wr)
        memcpy(wr_bar, wr_sum, N * sizeof(REAL));
    memcpy(b_bar, b_sum, N * sizeof(REAL));
    for (int i = 0; i < N; i++)
        for (int m = 0; m < S; m++)
            ws_bar[i * S + m] = ws_sum[m * ld + i] / S;
    transpose(B, N, x_bar, ld, x0_bar, B);
    if (net->kind == SPIKING)
        transpose(B, N, syn_bar, ld, x0_bar + (long)N * B, B);
    const long halves = net->kind == SPIKING ? 2 : 1;
    return all_finite((long)N * N, J_bar) && all_finite((long)N * S, ws_bar) && (!wr || all_finite(N, wr_bar)) &&
           all_finite(N, b_bar) && all_finite(halves * N * B, x0_bar);
}
