// flags: -O0 -g -fno-omit-frame-pointer
/* The same trap where every frame has a frame pointer. */
#include "alloca-frames.c"
