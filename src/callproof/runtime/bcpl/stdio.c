/* Input and output of programs that call C functions: C's own buffers, so that what both
 * languages print comes out in the order in which they printed it, also from callbacks.
 *
 * The compiler refers to `bcpl_share_stdio` in such programs, and only there.  That brings
 * this file out of the archive, and its functions take the place of weak ones elsewhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bcpl.h"

void bcpl_share_stdio(void) {} /* to be referred to is its work */

/* musl has dropped what it could not write, so the message's own flush has nothing to do. */
void bcpl_flush(void) {
    if (fflush(stdout) != 0) lost_output(errno);
}

void bcpl_put_byte(char byte) {
    if (putchar((unsigned char)byte) == EOF) lost_output(errno);
}

/* C functions may have left work to `atexit`, and files to be closed. */
void bcpl_exit(word status) {
    bcpl_flush();
    if (bcpl_last_words != NULL) bcpl_last_words();
    exit((int)status);
}

word bcpl_rdch(void) {
    bcpl_flush();
    return getchar();
}
