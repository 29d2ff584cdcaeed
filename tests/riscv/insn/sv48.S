// Sv48: the walk, permissions, faults, superpages, SUM, MXR, MPRV.
#define LEVELS 4
#include "walk.h"
