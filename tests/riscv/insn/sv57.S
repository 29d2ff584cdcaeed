// Sv57: the walk, permissions, faults, superpages, SUM, MXR, MPRV.
#define LEVELS 5
#include "walk.h"
