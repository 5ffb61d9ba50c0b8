/* The frame of a flossing epoch through the Jacobians along one trial, and the way back: specification (8.2) to (8.11).

Frames are (k, width) with a direction in each row, width = halves ld: of spiking units that remember, two halves,
membranes and synapses; of all others one. Between steps lie arrays of Q_0 (k, width), P_n or what units send (k, ld),
and triangles (k, ldk); step n begins with frame n. */

enum { RATE, SPIKES, MEMORYLESS };

struct frames {
    int32_t kind, N, k, T;
    int32_t blocks_from, longest_block; /* the step at which counting begins */
    int32_t network, surrogate; /* the units' kind, and the surrogate of the Jacobian */
    int32_t reset; /* whether the Jacobian of spiking units has the factor 1 - o */
    double sharpness, threshold;
    double block_spread, widest_spread, target;
    double synaptic_decay, membrane_decay, membrane_gain, first_gain; /* first_gain: of a memoryless chain's first step */
};

static REAL spread(int k, const REAL *logs)
{
    REAL low = logs[0], high = logs[0];
    for (int i = 1; i < k; i++) {
        low = logs[i] < low ? logs[i] : low;
        high = logs[i] > high ? logs[i] : high;
    }
    return high - low;
}

/* The diagonals of the Jacobians of all steps (T, ld), and their derivatives by the states (T + 1, ld): of spiking units
   at the state before a step, of the others at that after it. */
static void gains_along(const struct frames *c, const REAL *states, REAL *gains, REAL *slopes)
{
    const long ld = line(c->N);
    const REAL *x = c->network == SPIKING ? states : states + ld;
    for (long i = 0; i < c->T * ld; i += LANES)
        if (c->network == TANH) {
            const vec rate = tanh_of(load(x + i)), gain = 1 - rate * rate;
            store(gains + i, gain);
            store(slopes + i, -2 * rate * gain);
        } else {
            const vec v = load(x + i) - (REAL)c->threshold;
            store(gains + i, surrogate(c->surrogate, (REAL)c->sharpness, v));
            store(slopes + i, surrogate_slope(c->surrogate, (REAL)c->sharpness, v));
        }
}

/* What multiplies that which spiking units have received, (T, ld): in membranes that remember, 1 or the factor of the
   reset. A memoryless chain has its gain there; with the factor, (8.12), a part of it is that of the next step's gains. */
static void factors_along(const struct frames *c, const REAL *states, REAL *factors, REAL *gains, REAL *slopes)
{
    const long ld = line(c->N), entries = c->T * ld;
    const REAL whole = c->first_gain, part = c->membrane_gain / c->first_gain;
    for (long i = 0; i < entries; i += LANES) {
        const vec kept = c->reset ? where(load(states + i) > (REAL)c->threshold, all(0), all(1)) : all(1);
        if (c->kind == SPIKES || c->reset)
            store(factors + i, c->kind == SPIKES ? kept : where(kept > 0, all(whole), all(1)));
        else
            store(factors + i, all(i < ld ? whole : (REAL)c->membrane_gain));
        if (c->kind == MEMORYLESS && c->reset && i + ld < entries) {
            store(gains + ld + i, load(gains + ld + i) * (part * kept));
            store(slopes + ld + i, load(slopes + ld + i) * (part * kept));
        }
    }
}

/* The exponents, means of the logarithms that count, the loss and its derivatives by each of these logarithms: (7.3),
   (8.1), (8.2). */
static double loss_of(const struct frames *c, const REAL *logs, REAL *exponents, REAL *weights)
{
    const int k = c->k, counted = c->T - c->blocks_from;
    double loss = 0;
    for (int i = 0; i < k; i++) {
        double sum = 0;
        for (long n = c->blocks_from; n < c->T; n++)
            sum += logs[n * k + i];
        exponents[i] = (REAL)(sum / counted);
        const double distance = exponents[i] - c->target;
        weights[i] = (REAL)(distance * 2 / ((double)k * counted));
        loss += distance * distance;
    }
    return loss / k;
}

static void logarithms(int k, const REAL *R, long ldk, REAL *logs)
{
    for (int i = 0; i < k; i++)
        logs[i] = LOGARITHM(ABSOLUTE(R[i * ldk + i]));
}

/* The next frame, not orthonormal yet, in A; sent: J F, or what was multiplied by J. */
static void push(const struct frames *c, const REAL *F, const REAL *Jt, const REAL *gains, const REAL *factors,
                 REAL *sent, REAL *A)
{
    const int N = c->N, k = c->k, ld = line(N), width = c->kind == SPIKES ? 2 * ld : ld;
    if (c->kind == RATE) {
        product(k, ld, N, F, width, 1, Jt, ld, sent, ld, SET);
        for (int m = 0; m < k; m++)
            for (int i = 0; i < ld; i += LANES)
                store(A + m * ld + i, load(sent + m * ld + i) * load(gains + i));
        return;
    }
    for (int m = 0; m < k; m++)
        for (int i = 0; i < ld; i += LANES)
            store(sent + m * ld + i, load(F + m * width + i) * load(gains + i));
    REAL *to_synapses = A + width - ld;
    product(k, ld, N, sent, ld, 1, Jt, ld, to_synapses, width, SET);
    const REAL alpha = c->synaptic_decay, beta = c->membrane_decay;
    for (int m = 0; m < k; m++, A += width, F += width)
        for (int i = 0; i < ld; i += LANES)
            if (c->kind == MEMORYLESS)
                store(A + i, load(A + i) * load(factors + i));
            else {
                const vec S = load(A + i + ld) + alpha * load(F + i + ld);
                store(A + i + ld, S);
                store(A + i, (beta * load(F + i) + (REAL)c->membrane_gain * S) * load(factors + i));
            }
}

/* Exponents (k) and loss along the states (T + 1, ld) of a trial, from Q (n_states, k); and whether all logarithms are
   finite. What is kept for frames_backward: frames (T + 1, k, width), sent (T, k, ld), triangles (T, k, ldk), whether
   there is one after each step, decomposed (T), weights (k), and gains, of which there are three times (T, ld).

   logs (T, k): log |R_ii|, -inf where a direction collapsed; of a block in its last step, the others being zero. */
EXPORT int frames_forward(const struct frames *c, const REAL *J, const REAL *Q, const REAL *states, REAL *frames,
                          REAL *sent, REAL *triangles, int32_t *decomposed, REAL *gains, REAL *logs, REAL *exponents,
                          REAL *weights, double *loss, REAL *room)
{
    const int N = c->N, k = c->k, halves = c->kind == SPIKES ? 2 : 1, ld = line(N), width = halves * ld, ldk = line(k);
    const long frame = (long)k * width;
    REAL *Jt = room;
    room += N * ld;
    memset(Jt, 0, sizeof(REAL) * N * ld);
    transpose(N, N, J, N, Jt, ld);
    REAL *slopes = gains + (long)c->T * ld, *factors = slopes + (long)c->T * ld;
    gains_along(c, states, gains, slopes);
    if (c->network == SPIKING)
        factors_along(c, states, factors, gains, slopes);
    memset(frames, 0, sizeof(REAL) * frame);
    for (int half = 0; half < halves; half++)
        transpose(N, k, Q + half * N * k, k, frames + half * ld, width);
    memset(logs, 0, sizeof(REAL) * k * c->T);
    long begin = 0, length = 1;
    for (long n = 0; n < c->T; n++) {
        REAL *A = frames + (n + 1) * frame, *R = triangles + n * k * ldk, *own = logs + n * k;
        push(c, frames + n * frame, Jt, gains + n * ld, factors + n * ld, sent + n * k * ld, A);
        const int at_an_end = n + 1 == c->blocks_from || n + 1 == c->T;
        decomposed[n] = at_an_end || n + 1 == begin + length;
        if (!decomposed[n])
            continue;
        int rescaled = 0;
        if (!at_an_end) {
            gram(k, width, A, A, R, ldk, room);
            if (cholesky(k, R, ldk)) {
                logarithms(k, R, ldk, own);
                rescaled = spread(k, own) < c->widest_spread;
            }
        }
        if (rescaled)
            solve_forward(k, width, R, ldk, A);
        else {
            householder(k, N, ld, width, A, R, ldk, room);
            logarithms(k, R, ldk, own);
        }
        const REAL apart = spread(k, own);
        const long steps = n + 1 - begin;
        const double allowed = apart > 0 ? c->block_spread * steps / apart : c->longest_block;
        length = allowed < 1 ? 1 : allowed > c->longest_block ? c->longest_block : (int)allowed;
        if (steps > 1 && 2 * allowed < steps) { /* the block before promised too much: again, with fewer steps */
            memset(own, 0, sizeof(REAL) * k);
            n = begin - 1;
        }
        begin = n + 1;
    }
    *loss = loss_of(c, logs, exponents, weights);
    return all_finite((long)c->T * k, logs);
}

/* From what frames_forward left: dL/dJ (N, N), of the Jacobians alone; and direct (T, N), dL/dx after each step as far
   as the Jacobians depend on it, (8.5) or (8.7). */
EXPORT void frames_backward(const struct frames *c, const REAL *J, const REAL *frames, const REAL *sent,
                            const REAL *triangles, const int32_t *decomposed, const REAL *gains, const REAL *weights,
                            REAL *J_bar, REAL *direct, REAL *room)
{
    const int N = c->N, k = c->k, ld = line(N), width = c->kind == SPIKES ? 2 * ld : ld, ldk = line(k);
    const long frame = (long)k * width, half = (long)k * ld;
    REAL *J_rows = room, *J_sum = J_rows + N * ld, *zeros = J_sum + N * ld, *sum = zeros + ldk,
         *bar = sum + ld, *P_bar = bar + frame, *E = P_bar + half;
    room = E + half;
    memset(J_rows, 0, sizeof(REAL) * (2 * N * ld + ldk + ld + frame));
    copy_rows(N, N, J, N, J_rows, ld);
    if (c->network == SPIKING) /* whose Jacobians are those before a step: the last state has none */
        memset(direct + (long)(c->T - 1) * N, 0, sizeof(REAL) * N);
    for (long n = c->T - 1; n >= 0; n--) {
        const REAL *F = frames + n * frame, *S = sent + n * half, *gain = gains + n * ld, *slope = gain + c->T * ld,
                   *factor = slope + c->T * ld;
        if (decomposed[n])
            qr_adjoint(k, width, bar, F + frame, triangles + n * k * ldk, ldk,
                       n < c->blocks_from ? zeros : weights, room);
        memset(sum, 0, sizeof(REAL) * ld);
        if (c->kind == RATE) {
            for (int m = 0; m < k; m++)
                for (int i = 0; i < ld; i += LANES) {
                    const vec a = load(bar + m * ld + i);
                    store(sum + i, load(sum + i) + a * load(S + m * ld + i));
                    store(P_bar + m * ld + i, a * load(gain + i));
                }
            product(k, ld, N, P_bar, ld, 1, J_rows, ld, bar, ld, SET);
            product(N, ld, k, P_bar, 1, ld, F, ld, J_sum, ld, ADD);
        } else {
            const REAL alpha = c->synaptic_decay, beta = c->membrane_decay;
            for (int m = 0; m < k; m++)
                for (int i = 0; i < ld; i += LANES) {
                    const REAL *mem = bar + m * width + i;
                    const vec received = load(mem) * load(factor + i);
                    store(P_bar + m * ld + i, c->kind == MEMORYLESS
                                                  ? received
                                                  : load(mem + ld) + (REAL)c->membrane_gain * received);
                }
            product(k, ld, N, P_bar, ld, 1, J_rows, ld, E, ld, SET);
            product(N, ld, k, P_bar, 1, ld, S, ld, J_sum, ld, ADD);
            for (int m = 0; m < k; m++)
                for (int i = 0; i < ld; i += LANES) {
                    REAL *mem = bar + m * width + i;
                    const vec e = load(E + m * ld + i);
                    store(sum + i, load(sum + i) + e * load(F + m * width + i));
                    if (c->kind == MEMORYLESS)
                        store(mem, load(gain + i) * e);
                    else {
                        store(mem, beta * (load(mem) * load(factor + i)) + load(gain + i) * e);
                        store(mem + ld, alpha * load(P_bar + m * ld + i));
                    }
                }
        }
        const long after = c->network == SPIKING ? n - 1 : n;
        for (int i = 0; after >= 0 && i < N; i++)
            direct[after * N + i] = slope[i] * sum[i];
    }
    copy_rows(N, N, J_sum, ld, J_bar, N);
}
