/* The C library's way in. */
#include "sox.h"

int main(int argc, char **argv) { return sox_start(argc, argv); }
