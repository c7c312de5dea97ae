package main

import (
	"context"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
)

// A question is what a client wants to have answered.
type question struct {
	prompt string
	tokens int           // at most
	delay  time.Duration // before each token; for the generator
}

// A model answers a question token by token. The sequence ends after the first
// error, which is the context's if that is done.
type model interface {
	generate(ctx context.Context, q question) iter.Seq2[string, error]
}

// generator is a model that needs no network: it says the same to the same prompt,
// as slowly as asked.
type generator struct{}

func (generator) generate(ctx context.Context, q question) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		hash := fnv.New64a()
		hash.Write([]byte(q.prompt))
		rng := rand.New(rand.NewPCG(hash.Sum64(), 0))
		begin := true // of a sentence
		for i := range q.tokens {
			if err := wait(ctx, q.delay); err != nil {
				yield("", err)
				return
			}
			word := words[rng.IntN(len(words))]
			if begin {
				word = strings.ToUpper(word[:1]) + word[1:]
			}
			last := i == q.tokens-1
			if begin = !begin && rng.IntN(8) == 0 || last; begin {
				word += "."
			}
			if !yield(word+" ", nil) {
				return
			}
		}
	}
}

// wait returns after d, or with an error as soon as the context is done.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var words = strings.Fields(`a agent always answer asks before begins between board calls carries clear closes
	each every fast finds first from gives goes hands he holds keeps kind knows last leaves less lets
	listens little long many master more names never new no nothing of old on one open other passes
	place plan quiet reads ready rests says sends serves she slow small socket some soon speaks still
	stops takes tells that the then they thinks this time together tool turns two under until waits
	walks what when while who with word work worker writes yet you`)
