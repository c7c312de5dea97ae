//go:build linux

// Package develop follows the files of a developer, for --reload: when they change it builds, where there is something
// to build, and says when the workers are to be replaced.
package develop
