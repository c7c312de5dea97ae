//go:build unix

package worker_test

import (
	"context"

	"github.com/gosuper/gosuper/worker"
)

// The types stand for those of package grpc, so that this example needs no other
// module. The interceptors are given to grpc.UnaryInterceptor and
// grpc.StreamInterceptor.
type (
	UnaryServerInfo  struct{ FullMethod string }
	UnaryHandler     func(ctx context.Context, req any) (any, error)
	StreamServerInfo struct{ FullMethod string }
	StreamHandler    func(srv any, stream ServerStream) error
	ServerStream     interface {
		Context() context.Context
		SendMsg(m any) error
		RecvMsg(m any) error
	}
)

func unary(ctx context.Context, req any, info *UnaryServerInfo, handler UnaryHandler) (res any, err error) {
	request := worker.Begin("POST", info.FullMethod)
	defer func() { request.End(httpStatus(err)) }()
	ctx, cancel := bind(ctx, request)
	defer cancel()
	return handler(ctx, req)
}

func stream(srv any, stream ServerStream, info *StreamServerInfo, handler StreamHandler) (err error) {
	request := worker.Begin("POST", info.FullMethod)
	defer func() { request.End(httpStatus(err)) }()
	ctx, cancel := bind(stream.Context(), request)
	defer cancel()
	return handler(srv, &watchedStream{stream, ctx, request})
}

// bind returns the call's context, cancelled at the deadline of the request too.
func bind(ctx context.Context, request *worker.Request) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(request.Context(), func() { cancel(context.Cause(request.Context())) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// watchedStream takes every message for progress.
type watchedStream struct {
	ServerStream
	ctx     context.Context
	request *worker.Request
}

func (s *watchedStream) Context() context.Context { return s.ctx }

func (s *watchedStream) SendMsg(m any) error {
	err := s.ServerStream.SendMsg(m)
	s.request.Progress()
	return err
}

func (s *watchedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	s.request.Progress()
	return err
}

// httpStatus stands for a translation of status.Code(err).
func httpStatus(err error) int {
	if err != nil {
		return 500
	}
	return 200
}

// Interceptors that give every call of a gRPC server a place on the board and a
// timeout.
func ExampleBegin_grpc() {
	_, _ = unary, stream
}
