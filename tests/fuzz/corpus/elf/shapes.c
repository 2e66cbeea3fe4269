/* The ELF files of this folder: see README.md. */
static inline __attribute__((always_inline)) long step(long n) { return n * 3 + 1; }
__attribute__((noinline)) long area(long n) { return step(n) + step(n + 1); }
struct pair { int a; long b; };
__attribute__((noinline)) long sum(struct pair *p) { return p->a + area(p->b); }
void _start(void) { struct pair p = {1, 2}; __asm__ volatile("syscall" :: "a"(60), "D"(sum(&p))); }
