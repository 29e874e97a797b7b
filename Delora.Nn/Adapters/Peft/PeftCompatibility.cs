namespace Delora.Nn;

/// <summary>
/// How closely adapters follow PEFT where PEFT and this library differ. Every difference between the two is a row of
/// <c>docs/peft-compatibility.md</c>; numbers, files and keys are the same in both.
/// </summary>
public enum PeftCompatibility
{
    /// <summary>
    /// Goes further than PEFT, and refuses or warns where PEFT accepts nonsense in silence: a tensor that is missing, a module that does not
    /// exist, weights that a merge makes infinite.
    /// </summary>
    Extended,

    /// <summary>Accepts and refuses what PEFT does; refusals are the types of <see cref="PeftErrors"/>.</summary>
    Strict,
}
