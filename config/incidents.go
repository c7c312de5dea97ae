package config

// Incidents is the table [incidents].
type Incidents struct {
	// Dir is the folder in which each incident becomes a file, absolute; "": none does.
	Dir string
	// Keep is how many of these files there are at most; at least 1.
	Keep int
}

// incidentKeys are the keys of the table.
var incidentKeys = []Key{
	key(Key{
		Name: "incidents.dir",
		Usage: "folder in which every incident (a worker that died, was killed or was replaced for a fault) becomes a JSON file, " +
			"made if it is not there; empty: nothing is written",
	},
		func(c *Config) *string { return &c.Incidents.Dir }, text("path", nil)),
	key(Key{
		Name:  "incidents.keep",
		Usage: "how many of these files a master keeps; masters of the same name in one folder keep so many together",
	},
		func(c *Config) *int { return &c.Incidents.Keep }, count(1, maxCount)),
}
