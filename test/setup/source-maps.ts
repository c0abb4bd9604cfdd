/**
 * Loaded before every test file: stack traces name the sources. An option of Node would hold for the processes that
 * tests start too, where it costs a tenth of their start.
 */
process.setSourceMapsEnabled(true);
