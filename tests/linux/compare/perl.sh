#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Perl: processes, pipes, sockets, threads, signals, regular expressions, sorting and packing.
export LC_ALL=C
exec perl -w - <<'END'
use strict;
use threads;
use threads::shared;
use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use IPC::Open3;
use List::Util qw(sum shuffle first);
use POSIX qw(:sys_wait_h floor fmod);
use Socket;
use Time::HiRes qw(usleep ualarm);

$| = 1;

# Processes and pipes.
my %status;
for my $number (1 .. 20) {
    my $child = fork // die "fork: $!";
    exit $number if $child == 0;
    $status{$child} = $number;
}
my $right = 0;
while ((my $child = waitpid(-1, 0)) > 0) { $right += ($? >> 8) == $status{$child}; }
print "children $right\n";
open(my $sort, '-|', 'seq 100000 | sort -rn | head -n 3') or die;
print "pipe: ", join(' ', map { chomp; $_ } <$sort>), "\n";
close $sort;
open(my $to, '|-', 'tr a-z A-Z') or die;
print $to "to a pipe\n";
close $to;
print "backticks: ", `echo one; exit 3`, "status ", $? >> 8, "\n";
my $process = open3(my $in, my $out, undef, 'cat', '-n');
print $in "line $_\n" for 1 .. 3;
close $in;
print "open3: $_" while <$out>;
waitpid $process, 0;
print "system ", system('sh', '-c', 'exit 9') >> 8, "\n";

# Signals.
my $alarms = 0;
$SIG{ALRM} = sub { $alarms++; ualarm(20000) if $alarms < 5 };
ualarm(20000);
select(undef, undef, undef, 0.05) while $alarms < 5;
print "alarms $alarms\n";
local $SIG{USR1} = sub { print "caught $_[0]\n" };
kill USR1 => $$;
eval {
    local $SIG{ALRM} = sub { die "time-out\n" };
    alarm 1;
    sleep 100;
};
print "eval: $@";

# Sockets.
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die;
my $child = fork // die;
if ($child == 0) {
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) or exit 1;
    print $client "question $_\n" for 1 .. 100;
    shutdown $client, 1;
    my @answers = <$client>;
    exit(@answers == 100 && $answers[99] eq "ANSWER 100\n" ? 0 : 2);
}
my $client = $server->accept;
while (my $line = <$client>) { $line =~ s/question/ANSWER/; print $client $line; }
close $client;
waitpid $child, 0;
print "client said ", $? >> 8, "\n";
socketpair(my $left, my $right_end, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
syswrite $left, "ready";
print "select ", scalar(IO::Select->new($right_end)->can_read(5)), "\n";

# Threads.
my $total :shared = 0;
my @threads = map { threads->create(sub { for (1 .. 200) { lock $total; $total += $_[0]; } $_[0] ** 2 }, $_) } 1 .. 4;
print "threads ", sum(map { $_->join } @threads), " $total\n";

# Language and library.
my @sorted = sort { $a->[1] <=> $b->[1] or $a->[0] cmp $b->[0] } map { ["w" . ($_ * 7 % 10), $_ * 13 % 17] } 1 .. 50;
print "sorted ", join(' ', map { "$_->[0]/$_->[1]" } @sorted[0 .. 4]), "\n";
my $text = join ' ', map { "word$_" } 1 .. 1000;
my $count = () = $text =~ /word\d*7\b/g;
print "matches $count\n";
(my $changed = "2024-02-29") =~ s/(\d+)-(\d+)-(\d+)/$3.$2.$1/;
print "$changed ", join('|', split /,\s*/, 'a, b,c'), "\n";
print "pack ", unpack('H*', pack('N n C a4', 1, 2, 3, 'text')), "\n";
print "digest ", substr(sha256_hex($text), 0, 16), "\n";
printf "%.10f %e %s\n", atan2(1, 1) * 4, 1e100, 0.1 + 0.2;
print "time ", POSIX::strftime('%F %T', gmtime 1700000000), "\n";
my %deep = (list => [1, [2, 3]], map => { a => 1 });
print "deep $deep{list}[1][1] $deep{map}{a}\n";
print "floor ", floor(-2.5), " fmod ", fmod(10, 3), " first ", first { $_ > 3 } 1 .. 9;
print "\n";
END
