using System.CommandLine;
using System.Globalization;
using Delora.Kernels;
using Spectre.Console;

namespace Delora.Cli;

/// <summary><c>delora devices</c>: every device, usable or not, and which one would be chosen and why.</summary>
internal static class DevicesCommand
{
    public static Command Create(CliConsole console)
    {
        Command command = new("devices", "Lists the devices of this machine, and says which would be chosen and why.");
        command.SetAction(_ => Show(console, Devices.All, Devices.Best()));
        return command;
    }

    internal static int Show(CliConsole console, IReadOnlyList<DeviceInfo> devices, DeviceChoice best)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumns("Device", "Kind", "Name");
        table.AddColumn(new TableColumn("Memory").RightAligned());
        table.AddColumn("Remark");
        foreach (DeviceInfo device in devices)
        {
            string memory = string.Create(CultureInfo.InvariantCulture, $"{device.MemoryBytes / (double)(1L << 30):F1} GiB");
            string remark = device.Obstacle is { } obstacle ? $"not usable: {obstacle}" : device.Remark ?? "";
            Style style = new(decoration: device.Selector == best.Info.Selector ? Decoration.Bold : Decoration.None);
            string[] cells = [device.Selector, device.Kind.ToString(), device.Name, memory, remark];
            table.AddRow(cells.Select(cell => new Text(cell, style)));
        }

        console.Ansi.Write(table);
        console.Output.WriteLine($"auto takes {best.Info.Selector}: {best.Reason}");
        return ExitCode.Success;
    }
}
