#include "textflag.h"

DATA ·handler(SB)/8, $note<>(SB)
GLOBL ·handler(SB), NOPTR, $8

// note is a handler of signals, called by the kernel with the number in DI, the
// siginfo_t in SI and the context in DX. It uses no stack, keeps all of these and
// goes on to the handler that was there before as if it had not been.
TEXT note<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVL DI, AX
	ANDL $63, AX
	MOVL 8(SI), R10 // si_code
	MOVL 16(SI), R11 // si_pid
	SHLQ $32, R11
	ORQ  R10, R11
	LEAQ ·senders(SB), R10
	MOVQ R11, (R10)(AX*8)
	LEAQ ·next(SB), R10
	MOVQ (R10)(AX*8), R10
	JMP  R10
