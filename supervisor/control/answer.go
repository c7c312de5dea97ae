package control

// Scaled is the answer to a change of the number of workers.
type Scaled struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Recycled is the answer to the wish to replace workers.
type Recycled struct {
	Workers []int `json:"workers"` // their ids
}

// Error is the answer to what cannot be done.
type Error struct {
	Status  int    `json:"-"` // of HTTP
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"` // what to do about it
}

func (e *Error) Error() string { return e.Message }
