/* A compressed file written and read back through stdio-like functions. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "zlib.h"

int main(void) {
    char name[] = "/tmp/callproof-gz-XXXXXX", line[100];
    extern int mkstemp(char *);
    int descriptor = mkstemp(name), total = 0, count = 0;
    gzFile file = gzdopen(descriptor, "wb9");
    for (int i = 0; i < 5000; i++) total += gzprintf(file, "line %d of %s\n", i, "text");
    printf("%d %d\n", total, gzclose(file));
    file = gzopen(name, "rb");
    while (gzgets(file, line, sizeof line)) count++;
    printf("%d %s", count, line);
    printf("%d %d\n", gzeof(file), gzclose(file));
    unlink(name);
    return 0;
}
