namespace Delora.Kernels;

/// <summary>How far the kept weight W̃ is from the one that was given, W.</summary>
/// <param name="SquaredError">‖W − W̃‖_F².</param>
/// <param name="SquaredNorm">‖W‖_F².</param>
/// <param name="Largest">max |W − W̃|.</param>
public readonly record struct WeightError(double SquaredError, double SquaredNorm, double Largest)
{
    /// <summary>‖W − W̃‖_F / ‖W‖_F; 0 where both are 0.</summary>
    public double Relative => SquaredError == 0 ? 0 : Math.Sqrt(SquaredError / SquaredNorm);

    /// <summary>The error of two weights together.</summary>
    public static WeightError operator +(WeightError left, WeightError right) =>
        new(left.SquaredError + right.SquaredError, left.SquaredNorm + right.SquaredNorm, Math.Max(left.Largest, right.Largest));
}
