/** Calls of native libraries, set up before the first library is loaded: later it can't be. */
import koffi from 'koffi';

// Of a call on another thread. Compilers recurse deeply, and would have 128 KiB. Pages that nothing touches take no memory.
koffi.config({ async_stack_size: 16 * 1024 ** 2 });

export default koffi;
