/* What each request stores on the board and on the fleet page, compiled.

   The same as _plain.py, which is used where there is no such module, and which says what each method does. There is no
   policy here: memory, counters and the clock. No method releases the GIL, so each is one step for all threads.

   Others can write the memory. All that is read again is private: nothing that comes from there is an index or a count.

   Stable ABI of CPython 3.11, which is the first with buffers in it, though 3.10 has the same functions; and nothing of a
   libc but clock_gettime and memcpy. So one file for each kind of machine does for all versions, with glibc and musl. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>
#include <time.h>

enum { SIZE = 65536, SLOT = 256, SLOTS = 240, OVERDUE = 12, ALL = SLOTS + OVERDUE, NO_SLOT = -1, TEXTS = 212 };
enum { IN_USE = 1, ENDED = 8 };
enum { FIRST_SLOT = 4096, FIRST_OVERDUE = 1024 };

/* Offsets into the board, as the package comment of worker/scoreboard has them. */
enum { SLOT_COUNT = 20, STARTED = 128, FINISHED = 192, UNSLOTTED = 272, DURATION = 288, OVERDUE_COUNT = 296 };
enum { HISTOGRAM = 512 };
enum { SEQUENCE = 0, START = 8, PROGRESS = 16, DEADLINE = 24, FLAGS = 32, TEXT = 36 };

/* Words of a place of the fleet page. */
enum { BUSY = 0, BEAT = 16, OPEN = 32, PLACE = 64 };

static void store64(void *at, uint64_t value) { __atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED); }

static void store32(void *at, uint32_t value) { __atomic_store_n((uint32_t *)at, value, __ATOMIC_RELAXED); }

static uint64_t monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct {
    PyObject_HEAD
    Py_buffer view;
    unsigned char *memory; /* NULL before it is held */
} Held;

/* An object of a type that begins like Held, with the memory behind the one argument for as long as it lives. */
static PyObject *hold(PyTypeObject *type, PyObject *args, Py_ssize_t size)
{
    PyObject *memory;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Held *self = (Held *)allocate(type, 0);
    if (self == NULL) return NULL;
    if (!PyArg_ParseTuple(args, "O", &memory) || PyObject_GetBuffer(memory, &self->view, PyBUF_WRITABLE) < 0) goto failed;
    self->memory = self->view.buf;
    if (self->view.len == size && (uintptr_t)self->memory % 8 == 0) return (PyObject *)self;
    PyErr_Format(PyExc_ValueError, "%zd bytes, not %zd that are aligned", self->view.len, size);
failed:
    Py_DECREF((PyObject *)self);
    return NULL;
}

static void let_go(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (((Held *)self)->memory != NULL) PyBuffer_Release(&((Held *)self)->view);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF((PyObject *)type);
}

static int expect(Py_ssize_t least, Py_ssize_t given, Py_ssize_t most)
{
    if (least <= given && given <= most) return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments", given);
    return 0;
}

static int get64(PyObject *number, uint64_t *value)
{
    *value = PyLong_AsUnsignedLongLong(number);
    return *value != (uint64_t)-1 || !PyErr_Occurred();
}

static int get32(PyObject *number, long *value)
{
    *value = PyLong_AsLong(number);
    if (*value == -1 && PyErr_Occurred()) return 0;
    if (INT32_MIN <= *value && *value <= INT32_MAX) return 1;
    PyErr_Format(PyExc_OverflowError, "%ld", *value);
    return 0;
}

/* The time that is given, or this one. */
static int get_time(PyObject *const *args, Py_ssize_t given, Py_ssize_t index, uint64_t *value)
{
    if (given > index) return get64(args[index], value);
    *value = monotonic();
    return 1;
}

/* The class of an HTTP status, 0 for 1xx; -1 for what is none, since an application may say anything. */
static int class_of(PyObject *status)
{
    int overflow;
    long value = PyLong_Check(status) ? PyLong_AsLongAndOverflow(status, &overflow) : 0;
    return 100 <= value && value < 600 ? (int)(value / 100 - 1) : -1;
}

typedef struct {
    Held board;
    uint64_t started, finished, unslotted, classes[5], duration, histogram[64];
    uint64_t sequence[ALL];
    PyObject *shown[ALL]; /* the text in each slot, bytes or NULL */
    uint32_t flags[ALL];  /* what its slot says, 0 if it is free */
    uint8_t free[ALL];    /* those of the requests, then the overdue ones: each a stack */
    int frees[2];         /* how high these are */
    uint32_t used[2];     /* how many were ever in use */
} Slots;

static PyObject *slots_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Slots *self = (Slots *)hold(type, args, SIZE);
    if (self == NULL) return NULL;
    for (int i = 0; i < SLOTS; i++) self->free[i] = (uint8_t)(SLOTS - 1 - i);
    for (int i = 0; i < OVERDUE; i++) self->free[SLOTS + i] = (uint8_t)(ALL - 1 - i);
    self->frees[0] = SLOTS;
    self->frees[1] = OVERDUE;
    return (PyObject *)self;
}

static void slots_dealloc(Slots *self)
{
    for (int i = 0; i < ALL; i++) Py_XDECREF(self->shown[i]);
    let_go((PyObject *)self);
}

/* Where a slot begins, which must be one. */
static unsigned char *at(const Slots *self, int slot)
{
    return self->board.memory + (slot < SLOTS ? FIRST_SLOT + SLOT * slot : FIRST_OVERDUE + SLOT * (slot - SLOTS));
}

/* The slot that an argument means, which is in use unless any will do, or NO_SLOT. */
static int get_slot(const Slots *self, PyObject *number, int any, int *slot)
{
    long value;
    if (!get32(number, &value)) return 0;
    *slot = (int)value;
    if (value == NO_SLOT || (0 <= value && value < ALL && (any || self->flags[value] != 0))) return 1;
    PyErr_Format(PyExc_ValueError, "slot %ld is not in use", value);
    return 0;
}

static void show(Slots *self, int slot, uint32_t flags) { store32(at(self, slot) + FLAGS, self->flags[slot] = flags); }

/* Take a free slot, of the overdue ones or of the others, and fill it. */
static PyObject *fill(Slots *self, int late, const uint64_t times[3], uint32_t flags, PyObject *texts)
{
    if (!PyBytes_CheckExact(texts) || PyBytes_Size(texts) != TEXTS) {
        PyErr_SetString(PyExc_ValueError, "these are not what texts makes");
        return NULL;
    }
    int base = late ? SLOTS : 0;
    int slot = self->free[base + --self->frees[late]];
    unsigned char *p = at(self, slot);
    if (self->used[late] <= (uint32_t)(slot - base)) {
        self->used[late] = (uint32_t)(slot - base) + 1;
        store32(self->board.memory + (late ? OVERDUE_COUNT : SLOT_COUNT), self->used[late]);
    }
    store64(p + SEQUENCE, ++self->sequence[slot]);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the rest is stored while it is odd */
    store64(p + START, times[0]);
    store64(p + PROGRESS, times[1]);
    store64(p + DEADLINE, times[2]);
    if (self->shown[slot] != texts) {
        memcpy(p + TEXT, PyBytes_AsString(texts), TEXTS);
        PyObject *before = self->shown[slot];
        self->shown[slot] = Py_NewRef(texts);
        Py_XDECREF(before);
    }
    show(self, slot, flags);
    __atomic_store_n((uint64_t *)(void *)(p + SEQUENCE), ++self->sequence[slot], __ATOMIC_RELEASE);
    return PyLong_FromLong(slot);
}

static void release(Slots *self, int slot)
{
    show(self, slot, 0);
    int late = slot >= SLOTS;
    self->free[(late ? SLOTS : 0) + self->frees[late]++] = (uint8_t)slot;
}

static PyObject *slots_take(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    uint64_t times[3];
    if (!expect(3, given, 3) || !get64(args[0], &times[0]) || !get64(args[1], &times[2])) return NULL;
    times[1] = times[0];
    store64(self->board.memory + STARTED, ++self->started);
    if (self->frees[0] > 0) return fill(self, 0, times, IN_USE, args[2]);
    store64(self->board.memory + UNSLOTTED, ++self->unslotted);
    return PyLong_FromLong(NO_SLOT);
}

static PyObject *slots_take_overdue(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    uint64_t times[3];
    long flags;
    if (!expect(5, given, 5) || !get32(args[3], &flags)) return NULL;
    for (int i = 0; i < 3; i++) {
        if (!get64(args[i], &times[i])) return NULL;
    }
    if (self->frees[1] == 0) return PyLong_FromLong(NO_SLOT);
    return fill(self, 1, times, IN_USE | ENDED | (uint32_t)flags, args[4]);
}

static PyObject *slots_progress(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    int slot;
    uint64_t now;
    if (!expect(1, given, 2) || !get_slot(self, args[0], 1, &slot) || !get_time(args, given, 1, &now)) return NULL;
    if (slot >= 0) store64(at(self, slot) + PROGRESS, now);
    return PyLong_FromUnsignedLongLong(now);
}

static PyObject *slots_flag(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    int slot;
    long flags;
    if (!expect(2, given, 2) || !get_slot(self, args[0], 0, &slot) || !get32(args[1], &flags)) return NULL;
    uint64_t now = monotonic();
    if (slot >= 0) {
        store64(at(self, slot) + PROGRESS, now);
        show(self, slot, IN_USE | (uint32_t)flags);
    }
    return PyLong_FromUnsignedLongLong(now);
}

static PyObject *slots_mark(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    int slot;
    long flags;
    if (!expect(2, given, 2) || !get_slot(self, args[0], 0, &slot) || !get32(args[1], &flags)) return NULL;
    if (slot >= 0) show(self, slot, self->flags[slot] | (uint32_t)flags);
    Py_RETURN_NONE;
}

static PyObject *slots_finish(Slots *self, PyObject *const *args, Py_ssize_t given)
{
    int slot;
    uint64_t start, now;
    if (!expect(3, given, 4) || !get_slot(self, args[0], 0, &slot)) return NULL;
    if (!get64(args[2], &start) || !get_time(args, given, 3, &now)) return NULL;
    uint64_t duration = now > start ? now - start : 0;
    unsigned char *board = self->board.memory;
    if (slot >= 0) release(self, slot);
    store64(board + FINISHED, ++self->finished);
    int i = class_of(args[1]);
    if (i >= 0) store64(board + FINISHED + 8 + 8 * i, ++self->classes[i]);
    int bits = duration ? 64 - __builtin_clzll(duration) : 0;
    int bucket = bits > 45 ? 63 : bits > 14 ? 2 * bits - 29 + (int)(duration >> (bits - 2) & 1) : 0;
    store64(board + HISTOGRAM + 8 * bucket, ++self->histogram[bucket]);
    store64(board + DURATION, self->duration += duration);
    return PyLong_FromUnsignedLongLong(now);
}

static PyObject *slots_free(Slots *self, PyObject *number)
{
    int slot;
    if (!get_slot(self, number, 0, &slot)) return NULL;
    if (slot >= 0) release(self, slot);
    Py_RETURN_NONE;
}

static PyObject *slots_in_flight(Slots *self, PyObject *unused)
{
    return PyLong_FromLongLong((long long)(self->started - self->finished));
}

typedef struct {
    Held place;
    long long busy, open;
    uint64_t beat;
} Place;

static PyObject *place_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) { return hold(type, args, PLACE); }

static PyObject *place_count(Place *self, PyObject *const *args, Py_ssize_t given)
{
    long busy, open;
    if (!expect(2, given, 2) || !get32(args[0], &busy) || !get32(args[1], &open)) return NULL;
    store64(self->place.memory + OPEN, (uint64_t)(self->open += open));
    store64(self->place.memory + BUSY, (uint64_t)(self->busy += busy));
    store64(self->place.memory + BEAT, ++self->beat);
    Py_RETURN_NONE;
}

#define FAST(type, name) {#name, (PyCFunction)(void (*)(void))type##_##name, METH_FASTCALL, NULL}

static PyMethodDef slots_methods[] = {
    FAST(slots, take), FAST(slots, take_overdue), FAST(slots, progress),
    FAST(slots, flag), FAST(slots, mark), FAST(slots, finish),
    {"free", (PyCFunction)(void (*)(void))slots_free, METH_O, NULL},
    {"in_flight", (PyCFunction)(void (*)(void))slots_in_flight, METH_NOARGS, NULL},
    {0},
};
static PyMemberDef slots_members[] = {{"started", T_ULONGLONG, offsetof(Slots, started), READONLY, NULL}, {0}};
static PyType_Slot slots_slots[] = {
    {Py_tp_new, slots_new},         {Py_tp_dealloc, slots_dealloc}, {Py_tp_methods, slots_methods},
    {Py_tp_members, slots_members}, {0},
};
static PyType_Spec slots_spec = {"gosuper._speed.Slots", sizeof(Slots), 0, Py_TPFLAGS_DEFAULT, slots_slots};

static PyMethodDef place_methods[] = {FAST(place, count), {0}};
static PyMemberDef place_members[] = {
    {"busy", T_LONGLONG, offsetof(Place, busy), READONLY, NULL},
    {"open", T_LONGLONG, offsetof(Place, open), READONLY, NULL},
    {0},
};
static PyType_Slot place_slots[] = {
    {Py_tp_new, place_new},         {Py_tp_dealloc, let_go}, {Py_tp_methods, place_methods},
    {Py_tp_members, place_members}, {0},
};
static PyType_Spec place_spec = {"gosuper._speed.Place", sizeof(Place), 0, Py_TPFLAGS_DEFAULT, place_slots};

static int add_types(PyObject *module)
{
    PyType_Spec *specs[] = {&slots_spec, &place_spec};
    for (int i = 0; i < 2; i++) {
        PyObject *type = PyType_FromSpec(specs[i]);
        if (type == NULL) return -1;
        int failed = PyModule_AddType(module, (PyTypeObject *)type);
        Py_DECREF(type);
        if (failed) return -1;
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, add_types}, {0}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_speed", NULL, 0, NULL, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__speed(void) { return PyModuleDef_Init(&definition); }
