# A loader in Perl, to the letter of "gosuper help protocol": no module that is not in
# Debian's perl-base. Its workers answer every request with who they are.
use strict;
use warnings;
use POSIX ();

my ($sys_recvmsg, $sys_prctl) = (POSIX::uname())[4] eq 'aarch64' ? (212, 167) : (47, 157);
die "GOSUPER_LOADER_FD is not mine\n" unless ($ENV{LISTEN_PID} // 0) == $$;
open my $loader, '+<&=', delete $ENV{GOSUPER_LOADER_FD} or die "no descriptor: $!";
POSIX::dup2(fileno($loader), 200) // die "dup2: $!";    # out of the way of the workers'
close $loader;
open $loader, '+<&=', 200 or die "no descriptor: $!";
my $loaded = { by => $$ };                              # the application
syswrite $loader, 'READY=1';

# receive returns a message and its descriptors (recvmsg(2)); nothing at the end of file.
sub receive {
    my ($text, $control) = ("\0" x 65536, "\0" x 1040);
    my $iov = pack 'P Q', $text, length $text;
    my $message = pack 'Q L x4 P Q P Q i x4', 0, 0, $iov, 1, $control, length $control, 0;
    my $n = syscall $sys_recvmsg, fileno($loader), $message, 0;
    die "recvmsg: $!" if $n < 0;
    return unless $n;
    my $size = unpack 'Q', $control;                    # of the first header, and what follows it
    return (substr($text, 0, $n), unpack 'i*', substr $control, 16, $size - 16);
}

sub become_worker {
    my ($seq, $environ, @files) = @_;
    select undef, undef, undef, 0.0005 while getppid() != $environ->{GOSUPER_MASTER_PID};
    syscall $sys_prctl, 1, 9, 0, 0, 0;                  # PR_SET_PDEATHSIG, SIGKILL
    POSIX::_exit(1) if getppid() != delete $environ->{GOSUPER_MASTER_PID};
    POSIX::setsid();
    POSIX::dup2($files[$_], 100 + $_) for 0 .. $#files; # where none of them is in the way
    POSIX::close($_) for @files;
    POSIX::dup2(100 + $_, $_) && POSIX::close(100 + $_) for 0 .. $#files;
    @ENV{keys %$environ} = values %$environ;
    $ENV{LISTEN_PID} = $$;
    open my $notify, '+<&=', $ENV{GOSUPER_NOTIFY_FD} or POSIX::_exit(1);
    open my $listener, '+<&=', 3 or POSIX::_exit(1);
    syswrite $loader, "SPAWNED=$seq";
    close $loader;
    sysread $notify, my $go, 16;
    POSIX::_exit(1) unless $go eq 'GO=1';
    syswrite $notify, 'READY=1';
    for (;;) {
        vec(my $ready = '', 3, 1) = 1;
        select $ready, undef, undef, undef;
        accept my $client, $listener or next;           # another one was faster
        sysread $client, my $request, 4096;
        my $body = qq({"pid":$$,"loader":$loaded->{by},"slot":"$ENV{GOSUPER_SLOT}","shard":"$ENV{SHARD}"});
        syswrite $client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    }
}

while (my ($text, @files) = receive()) {
    my %environ = map { split /=/, $_, 2 } split /\n/, $text;
    my $seq = delete $environ{SPAWN};
    my $middle = fork // do { syswrite $loader, "FAILED=$seq\n$!"; undef };
    if (defined $middle && $middle == 0) {
        POSIX::_exit(0) if fork;
        become_worker($seq, \%environ, @files);
    }
    waitpid $middle, 0 if $middle;
    POSIX::close($_) for @files;
}
