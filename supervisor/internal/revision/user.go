//go:build linux

package revision

import (
	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// notThatUser says which key it is that names nobody.
func notThatUser(c *config.Config, err error) error {
	e := config.Error{Key: "group", Msg: err.Error()}
	if _, _, userErr := process.LookupCredential(c.User, ""); userErr != nil {
		e.Key = "user"
	}
	return &e
}

// permitted says whether this process may start workers that are somebody else, where
// they are to be. One that only checks a configuration need not.
func (r *Revision) permitted() error {
	err := r.Credential.Permitted()
	if err == nil {
		return nil
	}
	key := "user"
	if r.Config.User == "" {
		key = "group"
	}
	return &config.Error{
		Key: key, Msg: err.Error(),
		Hint: "start gosuper as root, or leave user and group out: then workers are whoever gosuper runs as",
	}
}
