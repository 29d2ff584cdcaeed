/* Floating-point kernels. A checksum is made of the bits of the results, so every rounding counts. */
#include <math.h>
#include <string.h>

#include "bench.h"

static uint64_t bits(double x)
{
    uint64_t image;
    memcpy(&image, &x, sizeof image);
    return image;
}

static double unit(uint64_t *seed)
{
    return (double)(next_random(seed) >> 11) * 0x1p-53;
}

enum { BODIES = 5 };

/* Square roots, divisions and sums: planets under gravity. */
static uint64_t nbody(uint64_t rounds)
{
    double at[BODIES][3], speed[BODIES][3], mass[BODIES];
    uint64_t seed = 11, sum = 0;
    for (int i = 0; i < BODIES; i++) {
        mass[i] = unit(&seed) + 0.1;
        for (int k = 0; k < 3; k++) {
            at[i][k] = 10 * unit(&seed);
            speed[i][k] = unit(&seed);
        }
    }
    while (rounds--) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                double d[3], square = 0.01, pull;
                for (int k = 0; k < 3; k++) {
                    d[k] = at[i][k] - at[j][k];
                    square += d[k] * d[k];
                }
                pull = 0.001 / (square * sqrt(square));
                for (int k = 0; k < 3; k++) {
                    speed[i][k] -= d[k] * mass[j] * pull;
                    speed[j][k] += d[k] * mass[i] * pull;
                }
            }
        for (int i = 0; i < BODIES; i++)
            for (int k = 0; k < 3; k++)
                at[i][k] += 0.001 * speed[i][k];
    }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            sum = fold(sum, bits(at[i][k]));
    return sum;
}

enum { ORDER = 100 };

static double factor(double a[ORDER][ORDER], double b[ORDER])
{
    double norm = 0;
    for (int k = 0; k < ORDER; k++) {
        int pivot = k;
        for (int i = k + 1; i < ORDER; i++)
            if (fabs(a[i][k]) > fabs(a[pivot][k]))
                pivot = i;
        for (int j = k; j < ORDER && pivot != k; j++) {
            double t = a[k][j];
            a[k][j] = a[pivot][j];
            a[pivot][j] = t;
        }
        for (int i = k + 1; i < ORDER; i++) {
            double scale = a[i][k] / a[k][k];
            for (int j = k; j < ORDER; j++)
                a[i][j] -= scale * a[k][j];
            b[i] -= scale * b[k];
        }
        norm += fabs(b[k]);
    }
    return norm;
}

static uint64_t linpack(uint64_t rounds)
{
    static double a[ORDER][ORDER], b[ORDER];
    uint64_t seed = 12, sum = 0;
    while (rounds--) {
        for (int i = 0; i < ORDER; i++) {
            b[i] = unit(&seed);
            for (int j = 0; j < ORDER; j++)
                a[i][j] = unit(&seed) - 0.5;
        }
        sum = fold(sum, bits(factor(a, b)));
    }
    return sum;
}

static uint64_t mandelbrot(uint64_t rounds)
{
    uint64_t sum = 0;
    for (uint64_t row = 0; row < rounds; row++) {
        double y0 = (double)(row % 64) / 32 - 1;
        for (int column = 0; column < 64; column++) {
            double x0 = column / 24.0 - 2, x = 0, y = 0;
            int steps = 0;
            while (steps < 100 && x * x + y * y < 4) {
                double next = x * x - y * y + x0;
                y = 2 * x * y + y0;
                x = next;
                steps++;
            }
            sum = fold(sum, (uint64_t)steps ^ bits(x));
        }
    }
    return sum;
}

static double spectral_cell(int i, int j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

/* Division and conversion from integers. */
static uint64_t spectral(uint64_t rounds)
{
    enum { SIZE = 64 };
    double u[SIZE], v[SIZE], sum = 0;
    for (int i = 0; i < SIZE; i++)
        u[i] = 1;
    while (rounds--) {
        double norm = 0;
        for (int i = 0; i < SIZE; i++) {
            v[i] = 0;
            for (int j = 0; j < SIZE; j++)
                v[i] += spectral_cell(i, j) * u[j];
            norm += v[i] * v[i];
        }
        norm = sqrt(norm);
        for (int i = 0; i < SIZE; i++)
            u[i] = v[i] / norm;
        sum += norm;
    }
    return fold(bits(sum), bits(u[SIZE / 2]));
}

/* Single precision: a filter and its energy. */
static uint64_t single(uint64_t rounds)
{
    enum { SAMPLES = 512, TAPS = 16 };
    static float in[SAMPLES + TAPS], taps[TAPS];
    uint64_t seed = 13;
    double sum = 0;
    for (int i = 0; i < SAMPLES + TAPS; i++)
        in[i] = (float)unit(&seed) - 0.5f;
    for (int i = 0; i < TAPS; i++)
        taps[i] = (float)unit(&seed) / TAPS;
    while (rounds--) {
        float energy = 0;
        for (int i = 0; i < SAMPLES; i++) {
            float out = 0;
            for (int k = 0; k < TAPS; k++)
                out += in[i + k] * taps[k];
            energy += out * out;
            in[i] += out * 0.001f;
        }
        sum += sqrtf(energy);
    }
    return bits(sum);
}

const struct kernel floating_kernels[] = {
    { "nbody", nbody },       { "linpack", linpack }, { "mandelbrot", mandelbrot },
    { "spectral", spectral }, { "single", single },   { NULL, NULL },
};
