// flags: -O2 -g -shared -fPIC
/* One of two libraries of identical layout: its blocks have 1001 bytes. */
#include "plugin.h"
PLUGIN(alpha, 1001)
