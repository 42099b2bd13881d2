// flags: -O2 -g -shared -fPIC
/* One of two libraries of identical layout: its blocks have 2002 bytes. */
#include "plugin.h"
PLUGIN(bravo, 2002)
