// Every share of every piece of work is computed once, with its own context, whatever threads do.
#include "pool.h"

#include <stdio.h>

#define MOST 9

static atomic_int hits[MOST];

static void share(void *context, int k, int shares)
{
    atomic_fetch_add(&hits[k], 1);
    for (volatile int i = 0; i < (k * 37 + shares * 11) % 400; i++) {}
    if ((int)(intptr_t)context != shares) abort();
}

int main(int count, char **arguments)
{
    long rounds = count > 1 ? atol(arguments[1]) : 1000;
    for (long round = 0; round < rounds; round++) {
        int shares = 2 + (int)(round % (MOST - 2));
        for (int k = 0; k < shares; k++) atomic_store(&hits[k], 0);
        run(shares, share, (void *)(intptr_t)shares);
        for (int k = 0; k < shares; k++)
            if (atomic_load(&hits[k]) != 1) {
                printf("share %d of %d: %d times\n", k, shares, atomic_load(&hits[k]));
                return 1;
            }
    }
    return 0;
}
