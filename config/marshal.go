package config

import (
	"encoding/json"
	"fmt"
)

// plain is a Config without its methods.
type plain Config

// saved is a Config as JSON: its fields under their own names, and what Load
// read from other files beside them.
type saved struct {
	*plain
	Written    map[string]string `json:"written,omitzero"`
	Used       []string          `json:"used,omitzero"`
	FileEnv    map[string]string `json:"fileEnv,omitzero"`
	CertPEM    []byte            `json:"certPEM,omitzero"`
	KeyPEM     []byte            `json:"keyPEM,omitzero"`
	SearchPath []byte            `json:"searchPath,omitzero"` // bytes: nobody has checked the environment
	VirtualEnv []byte            `json:"virtualEnv,omitzero"`
	Program    []byte            `json:"program,omitzero"`
}

// MarshalJSON returns all there is to the configuration, secrets included, for
// another version of this program to go on with: see [Config.UnmarshalJSON].
func (c *Config) MarshalJSON() ([]byte, error) {
	s := c.started
	return json.Marshal(saved{
		(*plain)(c), c.written, c.used, c.fileEnv, c.certPEM, c.keyPEM, []byte(s.searchPath), []byte(s.virtualEnv), []byte(s.program),
	})
}

// UnmarshalJSON reads what another version wrote. Keys that it did not have yet
// get their defaults, those that are unknown here are left out.
func (c *Config) UnmarshalJSON(text []byte) error {
	all := saved{plain: (*plain)(Default())}
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("cannot read a saved configuration: %w", err)
	}
	*c = Config(*all.plain)
	c.written, c.used, c.fileEnv, c.certPEM, c.keyPEM = all.Written, all.Used, all.FileEnv, all.CertPEM, all.KeyPEM
	c.started = started{string(all.SearchPath), string(all.VirtualEnv), string(all.Program)}
	return nil
}
