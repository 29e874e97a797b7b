using System.Runtime.InteropServices;
using Delora.Cli;

using CancellationTokenSource interrupt = new();

// The first signal asks the command to stop in an orderly way; the second finds no handler's objection and ends the process.
void OnSignal(PosixSignalContext context)
{
    if (interrupt.IsCancellationRequested)
        return;
    context.Cancel = true;
    interrupt.Cancel();
}

using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
using PosixSignalRegistration onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
return await CliApplication.Default.RunAsync(args, Console.Out, Console.Error, interrupt.Token, interactive: !Console.IsOutputRedirected);
