package state

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Unix(1000, 0)

type door struct {
	_    struct{}       `state:"building.doors,table"`
	lock int            `state:"lock,fd"`
	name string         `state:"name"`
	at   netip.AddrPort `state:"at"`
}

type house struct {
	Built  time.Time         `state:"built"`
	front  *door             `state:"front"`
	back   *door             `state:"back"`
	others []*door           `state:"others"`
	rooms  map[int]*room     `state:"rooms,list=number"`
	paths  map[string]*room  `state:"paths"`
	visits map[int]time.Time `state:"visits"`
	plan   plan              `state:",inline"`
	garden *plan             `state:"garden"`
	bell   int               `state:"bell,fd"`
	Notes  [][]byte          `state:"notes"`
	loud   chan bool         `state:"-"`
}

type room struct {
	size  float64 `state:"size"`
	light bool    `state:"light"`
}

type plan struct {
	scale int           `state:"scale"`
	drawn time.Duration `state:"drawn"`
}

func TestRoundTrip(t *testing.T) {
	shared := &door{lock: 7, name: "shared", at: netip.MustParseAddrPort("127.0.0.1:80")}
	before := house{
		Built: epoch.Add(time.Hour), front: shared, back: shared, others: []*door{shared, {lock: -1}, nil},
		rooms:  map[int]*room{10: {size: 2}, 9: {light: true}},
		paths:  map[string]*room{"a": {size: 1}},
		visits: map[int]time.Time{1: epoch.Add(time.Minute), 2: {}},
		plan:   plan{3, time.Second}, garden: &plan{}, bell: 9, Notes: [][]byte{{1}, {}},
	}
	text, fds, err := Write(&before, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(fds); !slices.Equal(fds, []int{7, 9}) {
		t.Errorf("descriptors %v in %s", fds, text)
	}
	if !strings.Contains(string(text), `"rooms":[{"light":true,"number":9},{"number":10,"size":2}]`) || !strings.Contains(string(text), `"built":3600000000000`) {
		t.Errorf("%s", text)
	}
	var after house
	again, err := Read(text, &after, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(again); !slices.Equal(fds, again) {
		t.Errorf("descriptors %v are read as %v", fds, again)
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("%+v\nis read from\n%s\nas %+v", before, text, after)
	}
	if after.front != after.back || after.front != after.others[0] {
		t.Error("a shared object became several")
	}
}

// What is not in a text stays as it is, but for descriptors.
func TestOfAnother(t *testing.T) {
	h := house{bell: 3, plan: plan{scale: 2}, rooms: map[int]*room{1: {}}, loud: make(chan bool)}
	fds, err := Read([]byte(`{"later": {}, "drawn": 5, "rooms": [{"number": 2}], "others": null, "front": -1}`), &h, epoch)
	if err != nil || len(fds) > 0 {
		t.Fatal(fds, err)
	}
	if h.bell != -1 || h.plan != (plan{2, 5}) || len(h.rooms) != 2 || h.loud == nil || h.front != nil {
		t.Errorf("%+v", h)
	}
	for text, problem := range map[string]string{
		`[]`:                           "cannot unmarshal array",
		`{"front": 1}`:                 "cannot read the state: front: there is no 1 in building.doors",
		`{"front": -2}`:                "there is no -2 in building.doors",
		`{"rooms": [{"number": "x"}]}`: "invalid syntax",
		`{"building": {"doors": [{"at": "nowhere"}]}, "back": 0}`: "not an ip:port",
	} {
		if _, err := Read([]byte(text), new(house), epoch); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v, want %q", text, err, problem)
		}
	}
}

// forgetful has a field of each kind of which nothing would be left.
type forgetful struct {
	Told   plan `state:"told"`
	Untold int
	Ways   []way    `state:"ways"`
	Run    func()   `state:"run"`
	Hidden struct{} `state:"-"`
}

type way struct {
	Width int
	at    int
}

func TestUntold(t *testing.T) {
	if untold := Untold(reflect.TypeFor[house]()); len(untold) > 0 {
		t.Errorf("nothing is forgotten, and still %v", untold)
	}
	want := []string{"state.forgetful.Untold", "state.way.at", "state.forgetful.Run cannot be written"}
	lossy := &forgetful{Ways: []way{{Width: 1, at: 2}}}
	if untold := Untold(reflect.TypeOf(lossy)); !slices.Equal(untold, want) {
		t.Errorf("forgotten are %q, want %q", untold, want)
	}
}
