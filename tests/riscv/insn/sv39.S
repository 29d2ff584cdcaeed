// Sv39: the walk, permissions, faults, superpages, SUM, MXR, MPRV.
#define LEVELS 3
#include "walk.h"
