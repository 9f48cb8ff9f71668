// A process that is forked while another thread computes does not go on with that thread's work.
#include "pool.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int hits[4];
static pid_t parent;

static void share(void *context, int k, int shares)
{
    (void)context;
    (void)shares;
    atomic_fetch_add(&hits[k], 1);
}

static void of_another(void *context, int k, int shares)
{
    (void)context;
    (void)k;
    (void)shares;
    if (getpid() != parent) _exit(2);
}

static int check(void)
{
    for (int k = 0; k < 4; k++) atomic_store(&hits[k], 0);
    run(4, share, 0);
    for (int k = 0; k < 4; k++)
        if (atomic_load(&hits[k]) != 1) return 3;
    return 0;
}

int main(void)
{
    int status;
    parent = getpid();
    if (check()) return 1;
    pthread_mutex_lock(&pool.user); // as another thread does while it begins a piece of work
    atomic_store(&pool.f, of_another);
    atomic_store(&pool.ticket, TICKET(2, 4));
    pid_t child = fork();
    if (!child) {
        pool_grow(3);
        usleep(50000); // time enough for the new threads to look for work
        _exit(check());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
