namespace Delora.Cli;

/// <summary>Something that must hold, and whether it does.</summary>
/// <param name="Claim">What must hold.</param>
/// <param name="Passed">Whether it does.</param>
/// <param name="Detail">The numbers behind it.</param>
internal sealed record DemoCheck(string Claim, bool Passed, string Detail);
