/* Numbers from standard input: READN and READF. */
#include <stdlib.h>

#include "bcpl.h"

enum { LONGEST = 63 };

/* The next word of the input, without the blanks before it; its length. */
static int read_word(char *text) {
    int size = 0;
    word byte;
    do
        byte = bcpl_rdch();
    while (byte == ' ' || (byte >= '\t' && byte <= '\r'));
    for (; byte > ' '; byte = bcpl_rdch())
        if (size < LONGEST) text[size++] = (char)byte;
    text[size] = 0;
    return size;
}

/* The number that the next word begins with, 0 if it is none. */
word bcpl_readn(void) {
    char text[LONGEST + 1];
    return read_word(text) > 0 ? strtoll(text, NULL, 10) : 0;
}

double bcpl_readf(void) {
    char text[LONGEST + 1];
    return read_word(text) > 0 ? strtod(text, NULL) : 0.0;
}
