#include "textflag.h"

DATA ·handler(SB)/8, $note<>(SB)
GLOBL ·handler(SB), NOPTR, $8

// note is a handler of signals, called by the kernel with the number in R0, the
// siginfo_t in R1 and the context in R2. It uses no stack, keeps all of these and
// goes on to the handler that was there before as if it had not been.
TEXT note<>(SB), NOSPLIT|NOFRAME, $0-0
	AND   $63, R0, R9
	MOVWU 8(R1), R10 // si_code
	MOVWU 16(R1), R11 // si_pid
	ORR   R11<<32, R10, R10
	MOVD  $·senders(SB), R11
	MOVD  R10, (R11)(R9<<3)
	MOVD  $·next(SB), R11
	MOVD  (R11)(R9<<3), R11
	JMP   (R11)
