/*
 * The program's entry under emscripten. With PROXY_TO_PTHREAD, emscripten's start-up object looks for
 * a C `main`, and does not find the one that rustc makes. It has to be exported as well: emcc passes
 * the command line only to a `main` that it sees among the exports.
 */
#include <emscripten.h>

int tinamou_main(int argc, char **argv);

EMSCRIPTEN_KEEPALIVE int main(int argc, char **argv)
{
    return tinamou_main(argc, argv);
}
