//go:build linux

// Package manager tells the service manager that started this process, systemd or whatever else speaks sd_notify(3),
// what the service is doing.
//
// What there is to say is a [State], told as a level whenever something happened: [Manager.Tell] compares it with what
// the service manager heard last and sends the difference. So nothing is sent twice, and what the service manager could
// not take is made up for.
package manager
