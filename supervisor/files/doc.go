//go:build linux

// Package files opens the files of a master that may be root, in folders in which
// others may write: its logs, its pid file, what it reads, and the program that it
// becomes. A path is only a wish: who may write in one of its folders decides what
// it means, and would have root read, fill or run what only root can.
//
// So a path is walked folder by folder, and it is remembered whether anybody but
// root and the user of this process could have had a hand in it. The rule for links
// is that of the kernel's fs.protected_symlinks, for every folder instead of sticky
// ones only: a link counts if root or this user made it, and no folder on the way to
// it belongs to others or is for all to write. Of files that others could have put in
// their place, only those count by which nobody gains anything. Who owns / is
// trusted like root: in a user namespace, root outside has another number.
package files
