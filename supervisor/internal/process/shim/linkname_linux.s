// Empty. The compiler accepts the functions without a body in sys_linux.go only
// in a package that has an assembly file.
